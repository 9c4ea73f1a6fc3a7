"""What is tested of the page as a whole, each a sentence."""

import time

from selenium.webdriver import Keys

from browser import DESKTOP, PAGES, PHONE


def the_prompt_has_the_focus(page, server):
    for name, field in [("create", "prompt"), ("live", "live-prompt")]:
        page.open(name)
        assert page.run("return document.activeElement.id") == field, f"not on the page {name}"


def escape_stops(page, server):
    page.open()
    page.set("#n", 8)
    page.set("#steps", 100)
    page.type("frog on a blue background")
    page.press(Keys.ENTER)
    page.wait("previews", "return document.querySelectorAll('.cell.waiting img').length > 0")
    page.press(Keys.ESCAPE)
    page.wait("the end", "return document.getElementById('order-progress').textContent === 'Stopped.'")
    page.wait("no work", "return !document.getElementById('order').dataset.busy")
    deadline = time.monotonic() + page.patience
    while page.status()["queue"]["requests"]:
        assert time.monotonic() < deadline, "the server still runs"
        time.sleep(0.05)
    page.open("live")
    page.click("#live-toggle")
    page.wait_for_live_picture(0)
    page.press(Keys.ESCAPE)
    assert page.text("#live-toggle") == "Start", "the stream continues"


def the_status_shows_rows(page, server):
    page.open()
    page.set("#n", 6)
    page.set("#steps", 60)
    page.find("#prompt").send_keys("pouting face on a yellow background")
    page.wait("the order", "return document.querySelectorAll('.cell').length === 6")
    page.go("status")
    page.wait("rows", "return document.querySelectorAll('.flight-row:not(.free) .now').length > 0")
    stages = "return [...document.querySelectorAll('.flight-row:not(.free) .flight-step')].map(e => e.textContent).join()"
    before = page.run(stages)
    page.wait("rows that move", f"return (() => {{ {stages} }})() !== arguments[0]", before)
    page.go("create")
    page.wait_for_pictures(6)
    page.go("status")
    page.wait("the chart", "return document.querySelectorAll('#throughput .bars rect').length > 0")


def the_keyboard_is_enough(page, server):
    page.open()
    page.set("#n", 3)
    assert page.run("return document.activeElement.id") == "prompt", "the prompt has no focus"
    page.press("dizzy face on a green background", Keys.ENTER)
    page.wait_for_pictures(3)
    for _ in range(40):
        page.press(Keys.TAB)
        if page.run("return document.activeElement.matches('.cell')"):
            break
    page.press(Keys.ARROW_RIGHT, Keys.ENTER)
    page.wait("the viewer", "return document.getElementById('viewer').open")
    assert page.text("#viewer-facts").startswith("2 of 3"), page.text("#viewer-facts")
    page.press(Keys.ARROW_RIGHT)
    assert page.text("#viewer-facts").startswith("3 of 3"), page.text("#viewer-facts")
    page.press(Keys.ESCAPE)
    page.wait("no viewer", "return !document.getElementById('viewer').open")
    assert page.run("return document.activeElement.matches('.cell')"), "the focus is lost"
    page.open("live")
    page.find("#drawing").send_keys(Keys.ARROW_LEFT)
    page.press(" ")
    page.wait_for_live_picture(0)
    page.press(Keys.CONTROL, "z")
    page.run("document.getElementById('live-toggle').focus()")
    page.press(Keys.ENTER)
    assert page.text("#live-toggle") == "Start"


def nothing_scrolls_sideways_on_a_phone(page, server):
    page.resize(PHONE)
    try:
        page.open()
        page.set("#n", 4)
        page.find("#prompt").send_keys("smiling face with sunglasses on a blue background " + "x" * 60)
        page.wait_for_pictures(4)
        for name in PAGES:
            page.go(name)
            page.run("for (const details of document.querySelectorAll('details')) details.open = true")
            time.sleep(0.7)
            wide = page.run("return document.documentElement.scrollWidth")
            assert wide <= PHONE[0], f"{name} is {wide} pixels wide"
    finally:
        page.resize(DESKTOP)


def a_restarted_server_is_found_again(page, server):
    page.open("live")
    page.click("#live-toggle")
    page.wait_for_live_picture(0)
    server.stop()
    page.wait("the banner", "return document.getElementById('banner').checkVisibility()")
    page.go("create")
    page.find("#prompt").send_keys("tomato")
    page.set("#n", 2)
    time.sleep(1)
    before = page.live_pictures()
    server.start()
    page.wait("no banner", "return !document.getElementById('banner').checkVisibility()")
    page.wait_for_pictures(2, "tomato")
    page.go("live")
    page.wait_for_live_picture(before)
    page.click("#live-toggle")
    time.sleep(0.3)
    page.errors()  # Chromium logs each failed connection.


TESTS = [
    the_prompt_has_the_focus, escape_stops, the_status_shows_rows, the_keyboard_is_enough,
    nothing_scrolls_sideways_on_a_phone, a_restarted_server_is_found_again,
]
