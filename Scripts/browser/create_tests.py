"""What is tested of the page Create, each a sentence."""

import base64
import io
import time
import zipfile

from selenium.webdriver import Keys


def typing_makes_pictures(page, server):
    page.open()
    page.set("#n", 4)
    page.find("#prompt").send_keys("cat face on an orange background")
    page.wait_for_pictures(4, "cat face on an orange background")
    assert page.count(".past") == 1, "the order is not in the history"


def pictures_sharpen_step_by_step(page, server):
    page.open()
    page.set("#n", 1)
    page.set("#steps", 24)
    page.run(
        "window.seen = new Set(); new MutationObserver(() => {"
        " const bar = document.querySelector('.cell');"
        " if (bar?.querySelector('img')) seen.add(bar.style.getPropertyValue('--done')) })"
        ".observe(document.getElementById('gallery'), { subtree: true, childList: true, attributes: true })")
    page.find("#prompt").send_keys("tomato on a yellow background")
    page.wait_for_pictures(1)
    seen = page.run("return [...seen]")
    assert len(seen) >= 3, f"previews at {seen} only"


def a_newer_prompt_cancels_the_older(page, server):
    page.open()
    page.set("#n", 8)
    page.set("#steps", 100)
    page.find("#prompt").send_keys("frog on a blue background")
    page.wait("the first order", "return document.querySelectorAll('.cell').length === 8")
    deadline = time.monotonic() + page.patience
    while page.status()["queue"]["requests"] == 0:
        assert time.monotonic() < deadline, "the first order never came to the server"
        time.sleep(0.05)
    page.set("#steps", 4)
    page.type("alien on a pink background")
    page.wait_for_pictures(8, "alien on a pink background")
    status = page.status()
    rows = [row for model in status["models"] for batch in model["batches"] for row in batch["rows"]]
    assert all(row["steps"] != 100 for row in rows), "the older prompt's images are still made"


def a_locked_seed_keeps_pictures(page, server):
    page.open()
    page.set("#n", 2)
    page.click("#seed-lock")
    page.find("#prompt").send_keys("green apple on a pink background")
    page.wait_for_pictures(2)
    first, seed = page.pictures(), page.find("#seed").get_property("value")
    page.click("#make")
    time.sleep(0.1)
    page.wait_for_pictures(2)
    assert page.find("#seed").get_property("value") == seed
    assert page.pictures() == first, "the same seed made other images"
    page.click("#seed-lock")
    page.click("#make")
    time.sleep(0.1)
    page.wait_for_pictures(2)
    assert page.pictures() != first, "a new seed made the same images"


def a_picture_is_used_as_input(page, server):
    page.open()
    page.set("#n", 2)
    page.find("#prompt").send_keys("grinning face on a purple background")
    page.wait_for_pictures(2)
    page.click(".cell")
    page.wait("the viewer", "return document.getElementById('viewer').open")
    page.click("#viewer-input")
    page.wait("the thumbnail", "return document.getElementById('input-thumbnail').naturalWidth > 0")
    assert page.is_shown("#order-strength")
    page.wait(
        "an edit", "return performance.getEntriesByType('resource')"
        ".some(({ name }) => name.endsWith('/v1/images/edits'))")
    page.wait_for_pictures(2)
    page.click("#input-remove")
    page.wait_for_pictures(2)
    assert not page.is_shown("#input-picture")


def a_picture_is_downloaded_as_it_came(page, server):
    page.open()
    page.set("#upscale", "")
    page.set("#n", 1)
    page.find("#prompt").send_keys("rocket on a black background")
    page.wait_for_pictures(1)
    page.click(".cell")
    link = page.find("#viewer-download")
    assert link.get_attribute("download").startswith("rocket-on-a-black-background-"), "no name"
    head = page.driver.execute_async_script(
        "const done = arguments[0]; const request = new Image();"
        "request.onload = () => done(request.naturalWidth); request.src ="
        " document.getElementById('viewer-download').href")
    assert head == page.side(), f"the file is {head} pixels wide"


def the_history_brings_settings_back(page, server):
    page.open()
    page.set("#n", 2)
    page.set("#steps", 5)
    page.find("#prompt").send_keys("tangerine on a blue background")
    page.wait_for_pictures(2)
    first = page.pictures()
    page.driver.refresh()
    page.wait("the models", "return document.querySelectorAll('#model option').length > 0")
    page.click(".past")
    page.wait_for_pictures(2, "tangerine on a blue background")
    assert page.find("#steps").get_property("value") == "5"
    assert page.pictures() == first, "the history made other images"
    page.click("#history-clear")
    assert page.count(".past") == 0 and not page.is_shown("#history")


def a_wrong_number_is_told_at_its_field(page, server):
    page.open()
    page.set("#steps", 0)
    page.find("#prompt").send_keys("sleeping face")
    page.wait("the error", "return document.getElementById('steps-error')?.checkVisibility()")
    page.set("#steps", 4)
    page.wait("no error", "return !document.querySelector('.field-error')")


def what_the_server_refuses_is_told_at_its_field(page, server):
    page.open()
    page.set("#size", "custom")
    page.set("#custom-size", "64000x64")
    page.find("#prompt").send_keys("sleeping face")
    page.wait("the error", "return document.getElementById('size-error')?.checkVisibility()")
    page.errors()  # Chromium logs each refusal.


def a_count_and_the_time_left_are_shown(page, server):
    page.open()
    page.set("#upscale", "")
    page.run(
        "window.said = new Set(); new MutationObserver(() => said.add("
        "document.querySelector('.progress-words').textContent.trim()))"
        ".observe(document.querySelector('.progress-words'), { subtree: true, childList: true, characterData: true })")
    page.set("#n", 16)
    page.set("#steps", 60)
    page.type("frog on a blue background")
    page.press(Keys.ENTER)
    page.wait("an estimate", "return [...said].some((text) => /About [0-9]+ s left/.test(text))")
    page.wait("a count", "return [...said].some((text) => /: [0-9]+ of 16 done/.test(text))")
    page.wait_for_pictures(16)
    page.wait("the sum", "return RegExp(`^16 images of ${arguments[0]} × ${arguments[0]} pixels in [0-9.]+ s[.]$`)"
              ".test(document.getElementById('order-progress').textContent)", page.side())
    assert page.text("#order-estimate") == "", "an estimate is left"


def unknown_words_are_told_below_the_prompt(page, server):
    page.open()
    page.set("#n", 2)
    page.type("a foks and a zxcvb on a blu background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(2, "a foks and a zxcvb on a blu background")
    warnings = page.text("#order-warnings")
    for words in ["reads 'foks' as 'fox'", "reads 'blu' as 'blue'", "does not know 'zxcvb'"]:
        assert words in warnings, f"the warnings are {warnings!r}"
    page.type("a fox on a blue background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(2, "a fox on a blue background")
    assert not page.is_shown("#order-warnings"), page.text("#order-warnings")
    page.set("#size", "custom")
    side = page.side()
    page.set("#custom-size", f"{2 * side}x{2 * side}")
    page.press(Keys.ENTER)
    page.wait("advice on the size", "return document.getElementById('order-warnings')"
              ".textContent.includes(`was trained for ${arguments[0]}x${arguments[0]} pixels`)", side)


def surprise_me_fills_in_a_known_prompt(page, server):
    page.open()
    page.set("#n", 1)
    page.wait("the button", "return document.getElementById('surprise').checkVisibility()")
    last, seen = "", set()
    for _ in range(3):
        page.click("#surprise")
        page.wait("another prompt", "return document.getElementById('prompt').value !== arguments[0]", last)
        last = page.find("#prompt").get_property("value")
        seen.add(last)
        assert " on a " in last and last.endswith(" background"), last
        page.wait_for_pictures(1, last)
        assert not page.is_shown("#order-warnings"), page.text("#order-warnings")
    assert len(seen) > 1, seen
    sizes = page.run("return [...document.getElementById('size').options].map(({ value }) => value)")
    assert sizes == [f"{page.side()}x{page.side()}", "custom"], sizes


def small_images_say_their_true_size(page, server):
    page.open()
    page.set("#upscale", "")
    page.set("#n", 1)
    page.type("rocket on a black background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(1)
    rendering = page.run("return getComputedStyle(document.querySelector('.cell img')).imageRendering")
    # From 128 pixels on, images are smoothed.
    assert rendering == ("pixelated" if page.side() < 128 else "auto"), rendering
    page.click(".cell")
    page.wait("the size", "return RegExp(`^${arguments[0]} × ${arguments[0]} pixels, enlarged [0-9.]+ times[.]$`)"
              ".test(document.getElementById('viewer-size').textContent)", page.side())


def all_images_are_downloaded_in_one_file(page, server):
    page.open()
    page.set("#n", 3)
    page.set("#seed", 7)
    page.type("a rocket on a black background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(3)
    page.wait("the button", "return document.getElementById('download-all').checkVisibility()")
    page.click("#download-all")
    name, data = page.downloaded(".zip")
    assert name == "a-rocket-on-a-black-background.zip", name
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None, "a checksum is wrong"
        assert archive.namelist() == [
            f"{index + 1:03}-a-rocket-on-a-black-background-{index + 7}-4x.png" for index in range(3)], archive.namelist()
        page.wait("the history", "return document.querySelectorAll('.past').length === 1")
        shown = page.driver.execute_async_script(
            "const done = arguments[0]; const request = indexedDB.open('streamflow', 1);"
            "request.onsuccess = () => { const all = request.result.transaction('images')"
            ".objectStore('images').getAll(); all.onsuccess = () => {"
            " const reader = new FileReader(); reader.onload = () => done(reader.result.split(',')[1]);"
            " reader.readAsDataURL(all.result.at(-1).images[0].file); } }")
        first = archive.read(archive.namelist()[0])
        assert first.startswith(b"\x89PNG") and b"a rocket on a black background" in first
        assert base64.b64decode(shown) == first, "the file is not the image that came"


def the_history_has_full_images(page, server):
    page.open()
    page.set("#n", 6)
    page.type("tangerine on a blue background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(6)
    page.wait("the history", "return document.querySelectorAll('.past').length === 1")
    first = page.pictures()
    page.driver.refresh()
    page.wait("the models", "return document.querySelectorAll('#model option').length > 0")
    page.click(".past")
    page.wait_for_pictures(6, "tangerine on a blue background")
    assert page.pictures() == first, "the history has other images"
    assert page.requests("/v1/images/generations") == 0, "the images were generated again"
    assert page.is_shown("#download-all")
    count = ("const done = arguments[0]; const request = indexedDB.open('streamflow', 1);"
             "request.onsuccess = () => { const all = request.result.transaction('images')"
             ".objectStore('images').count(); all.onsuccess = () => done(all.result); }")
    assert page.driver.execute_async_script(count) == 1
    page.click("#history-clear")
    page.wait("no history", "return document.querySelectorAll('.past').length === 0")
    deadline = time.monotonic() + page.patience
    while page.driver.execute_async_script(count):
        assert time.monotonic() < deadline, "the images are still stored"
        time.sleep(0.05)


TESTS = [
    typing_makes_pictures, pictures_sharpen_step_by_step, a_newer_prompt_cancels_the_older,
    a_locked_seed_keeps_pictures, a_picture_is_used_as_input, a_picture_is_downloaded_as_it_came,
    the_history_brings_settings_back, a_wrong_number_is_told_at_its_field,
    what_the_server_refuses_is_told_at_its_field, a_count_and_the_time_left_are_shown,
    unknown_words_are_told_below_the_prompt, surprise_me_fills_in_a_known_prompt,
    small_images_say_their_true_size, all_images_are_downloaded_in_one_file,
    the_history_has_full_images,
]
