"""What is tested of the page Live, each a sentence."""

import tempfile
import time

from selenium.webdriver import ActionChains

from browser import DESKTOP, PHONE


def a_drawing_is_answered(page, server):
    page.open("live")
    page.click("#live-toggle")
    page.wait_for_live_picture(0)
    number = page.live_pictures()
    time.sleep(0.5)
    still = page.live_pictures()
    ActionChains(page.driver).move_to_element_with_offset(page.find("#drawing"), -60, -40) \
        .click_and_hold().move_by_offset(120, 0).move_by_offset(0, 60).release().perform()
    page.wait_for_live_picture(still)
    assert still - number <= 2, f"{still - number} images of a drawing that did not change"
    time.sleep(0.5)
    before = page.live_pictures()
    page.set("#live-strength", 0.9)
    page.wait_for_live_picture(before)
    before = page.live_pictures()
    page.type("tomato on a yellow background", "#live-prompt")
    page.wait_for_live_picture(before)
    page.set("#live-other", "cat face on an orange background")
    page.set("#live-blend", 0.5)
    page.run("document.getElementById('live-filter').click()")
    time.sleep(0.5)
    assert not page.is_shown("#live-error"), page.text("#live-error")
    page.wait("the numbers", "return document.getElementById('live-rate').textContent !== '–'")
    page.click("#live-toggle")
    time.sleep(0.3)
    assert page.status()["streams"] == [], "the stream continues"


def the_webcam_is_answered(page, server):
    page.open("live")
    page.run("document.querySelector('[name=source][value=webcam]').click()")
    page.click("#source-start")
    page.wait_for_live_picture(3)
    page.wait("frames a second", "return Number(document.getElementById('live-rate').textContent) > 0")
    page.click("#live-toggle")
    assert page.run("return document.getElementById('moving').srcObject === null"), "the webcam is on"


def the_screen_is_answered(page, server):
    page.open("live")
    page.run("document.querySelector('[name=source][value=screen]').click()")
    page.click("#source-start")
    page.wait_for_live_picture(1)
    page.click("#live-toggle")
    assert page.run("return document.getElementById('moving').srcObject === null"), "the screen is shared on"


def a_file_is_answered(page, server):
    page.open("live")
    page.run("document.querySelector('[name=source][value=file]').click()")
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(page.driver.get_screenshot_as_png())
        file.flush()
        page.find("#source-file").send_keys(file.name)
        page.wait_for_live_picture(0)
    page.click("#live-toggle")


def live_images_are_saved_recorded_and_sent_to_create(page, server):
    page.open("live")
    assert not page.find("#output-snapshot").is_enabled(), "there is nothing to save yet"
    page.run("document.querySelector('[name=source][value=webcam]').click()")
    page.click("#source-start")
    page.wait_for_live_picture(0)
    page.click("#output-snapshot")
    name, data = page.downloaded(".png")
    assert data.startswith(b"\x89PNG") and name.startswith("streamflow-"), name
    page.click("#output-record")
    assert page.find("#output-record").get_attribute("aria-pressed") == "true"
    page.wait_for_live_picture(page.live_pictures() + 8)
    page.click("#output-record")
    name, data = page.downloaded(".webm")
    assert data.startswith(b"\x1aE\xdf\xa3") and len(data) > 500, f"{name} of {len(data)} bytes"
    page.click("#output-screen")
    page.wait("the full screen", "return document.fullscreenElement?.id === 'output-view'")
    page.run("return document.exitFullscreen()")
    page.wait("no full screen", "return !document.fullscreenElement")
    page.click("#live-toggle")
    page.click("#output-send")
    page.wait("Create", "return !document.getElementById('page-create').hidden")
    page.wait("the thumbnail", "return document.getElementById('input-thumbnail').naturalWidth === arguments[0]",
              page.side())


def live_numbers_are_explained(page, server):
    page.open("live")
    for word in ["Batch size", "Gain"]:
        explained = page.run(
            "return [...document.querySelectorAll('#live-numbers > div')]"
            ".find((box) => box.querySelector('dt').textContent === arguments[0])?.title", word)
        assert explained and len(explained) > 30, f"{word}: {explained}"
    page.click(".meanings summary")
    assert page.is_shown(".meanings dd")
    page.type("a foks", "#live-prompt")
    page.click("#live-toggle")
    page.wait("the warning", "return document.getElementById('live-warnings').textContent.includes('foks')")
    page.click("#live-toggle")


def the_live_prompt_is_above_the_canvases_on_a_phone(page, server):
    page.resize(PHONE)
    try:
        page.open("live")
        top = "return document.getElementById(arguments[0]).getBoundingClientRect().top"
        prompt, drawing, output = (page.run(top, name) for name in ["live-prompt", "drawing", "output"])
        assert 0 < prompt < drawing < output, f"prompt at {prompt}, canvases at {drawing} and {output}"
        bottom = page.run("return document.getElementById('output').getBoundingClientRect().bottom")
        assert bottom <= PHONE[1], f"the output ends at {bottom} of {PHONE[1]}"
    finally:
        page.resize(DESKTOP)


TESTS = [
    a_drawing_is_answered, the_webcam_is_answered, the_screen_is_answered, a_file_is_answered,
    live_images_are_saved_recorded_and_sent_to_create, live_numbers_are_explained,
    the_live_prompt_is_above_the_canvases_on_a_phone,
]
