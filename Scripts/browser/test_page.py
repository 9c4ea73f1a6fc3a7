"""The web page in a real browser: python Scripts/browser/test_page.py --streamflow .build/debug/streamflow

Needs `pip install selenium`, and Chromium with its driver (Debian: chromium, chromium-driver).
"""

import argparse
import base64
import contextlib
import io
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.request
import zipfile

from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

DESKTOP, PHONE = (1280, 800), (390, 844)
PAGES = ["create", "live", "status"]


class Server:
    """`streamflow serve` on a port that stays the same when it is started again."""

    def __init__(self, command, arguments, patience):
        self.command, self.arguments, self.patience = command, arguments, patience
        self.port, self.process, self.url = 0, None, None
        self.lines = []

    def start(self):
        self.process = subprocess.Popen(
            [self.command, "serve", "--port", str(self.port), *self.arguments],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        listening, known = threading.Event(), self.url

        def read(stream):
            for line in stream:
                self.lines.append(line)
                if "listening on http" in line and self.url in (None, known):
                    self.url = "http" + line.split("listening on http", 1)[1].split()[0]
                    self.port = int(self.url.rstrip("/").rsplit(":", 1)[1])
                    listening.set()
            listening.set()

        threading.Thread(target=read, args=(self.process.stderr,), daemon=True).start()
        listening.wait(self.patience)
        if self.url is None or self.process.poll() is not None:
            raise SystemExit("the server did not start:\n" + "".join(self.lines[-20:]))
        self.wait_until_ready()

    def wait_until_ready(self):
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                with urllib.request.urlopen(self.url.rstrip("/") + "/readyz", timeout=5) as answer:
                    if answer.status == 200:
                        return
            time.sleep(0.2)
        raise SystemExit(f"the server was not ready after {self.patience} s")

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Page:
    """The page in a browser, by what a person sees and does."""

    def __init__(self, url, patience, token=None):
        self.url, self.patience, self.token = url.rstrip("/") + "/", patience, token
        self.profile, self.downloads = tempfile.mkdtemp(), tempfile.mkdtemp()
        options = webdriver.ChromeOptions()
        for argument in [
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
            f"--user-data-dir={self.profile}", f"--window-size={DESKTOP[0]},{DESKTOP[1]}",
            "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
            "--auto-select-desktop-capture-source=Entire screen",
        ]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = shutil.which("chromedriver")
        service = webdriver.ChromeService(driver) if driver else None
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": self.downloads})
        self.resize(DESKTOP)

    def quit(self):
        self.driver.quit()
        for folder in (self.profile, self.downloads):
            shutil.rmtree(folder, ignore_errors=True)

    def downloaded(self, ending):
        """The name and bytes of the file that is downloaded next."""
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            for path in pathlib.Path(self.downloads).iterdir():
                if path.suffix == ending:
                    found = path.name, path.read_bytes()
                    path.unlink()
                    return found
            time.sleep(0.05)
        raise AssertionError(f"waited {self.patience} s for a {ending} file")

    def requests(self, path):
        """How many requests for a path the page has sent since it was opened."""
        return self.run(
            "return performance.getEntriesByType('resource')"
            ".filter(({ name }) => new URL(name).pathname === arguments[0]).length", path)

    def resize(self, size):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False})

    def prefer(self, **features):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()]})

    def open(self, page="create", fresh=True):
        """Opens one of the pages; a fresh one has forgotten everything."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}#{page}")
        if fresh:
            self.run("localStorage.clear(); sessionStorage.clear()")
            self.driver.refresh()
        if self.token and fresh:
            self.wait("the question for the token", "return document.getElementById('token-dialog').open")
            self.find("#token").send_keys(self.token, Keys.ENTER)
        self.wait("the models", "return document.querySelectorAll('#model option').length > 0")

    def go(self, page):
        self.find(f"nav [data-page={page}]").click()
        self.wait(f"the page {page}", f"return !document.getElementById('page-{page}').hidden")

    def run(self, script, *values):
        return self.driver.execute_script(script, *values)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def count(self, selector):
        return self.run("return document.querySelectorAll(arguments[0]).length", selector)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def is_shown(self, selector):
        return self.run("return document.querySelector(arguments[0])?.checkVisibility() ?? false", selector)

    def wait(self, what, script, *values):
        """Waits until a script is true."""
        try:
            return WebDriverWait(self.driver, self.patience, 0.05).until(
                lambda driver: driver.execute_script(script, *values))
        except Exception as error:
            raise AssertionError(f"waited {self.patience} s for {what}") from error

    def set(self, selector, value):
        """Sets a field as typing or dragging does."""
        self.run(
            "const field = document.querySelector(arguments[0]); field.value = arguments[1];"
            "field.dispatchEvent(new Event('input', { bubbles: true }))", selector, str(value))

    def type(self, text, selector="#prompt"):
        field = self.find(selector)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text)

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def wait_for_pictures(self, count, prompt=None):
        """Waits until as many images are finished, of a prompt where one is said."""
        self.wait(
            f"{count} images of {prompt}",
            "const cells = [...document.querySelectorAll('.cell')];"
            "return cells.length === arguments[0] && !document.getElementById('order').dataset.busy"
            " && cells.every((cell) => cell.matches('.finished') && cell.querySelector('img')"
            " && (arguments[1] === null || cell.getAttribute('aria-label').endsWith(': ' + arguments[1])))",
            count, prompt)

    def pictures(self):
        """The pixels of the images in the grid."""
        return self.run(
            "return [...document.querySelectorAll('.cell img')].map((image) => {"
            " const canvas = document.createElement('canvas');"
            " canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;"
            " canvas.getContext('2d').drawImage(image, 0, 0); return canvas.toDataURL(); })")

    def live_pictures(self):
        return int(self.run("return document.getElementById('output').dataset.pictures ?? 0"))

    def wait_for_live_picture(self, after):
        self.wait(
            f"a live image after number {after}",
            "return Number(document.getElementById('output').dataset.pictures ?? 0) > arguments[0]", after)

    def status(self):
        """What the server says of itself."""
        return self.driver.execute_async_script(
            "const done = arguments[0]; const token = sessionStorage.getItem('streamflow-token');"
            "fetch('v1/status', { headers: token ? { Authorization: `Bearer ${token}` } : {} })"
            ".then((answer) => answer.json()).then(done)")

    def errors(self):
        """What the console said since it was last asked."""
        said = [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] in ("SEVERE", "WARNING")]
        # The answer that makes the page ask for the token.
        return [message for message in said if not (self.token and " 401 " in message)]


# What is tested, each a sentence.

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
    page.find("#seed-lock").click()
    page.find("#prompt").send_keys("green apple on a pink background")
    page.wait_for_pictures(2)
    first, seed = page.pictures(), page.find("#seed").get_property("value")
    page.find("#make").click()
    time.sleep(0.1)
    page.wait_for_pictures(2)
    assert page.find("#seed").get_property("value") == seed
    assert page.pictures() == first, "the same seed made other images"
    page.find("#seed-lock").click()
    page.find("#make").click()
    time.sleep(0.1)
    page.wait_for_pictures(2)
    assert page.pictures() != first, "a new seed made the same images"


def a_picture_is_used_as_input(page, server):
    page.open()
    page.set("#n", 2)
    page.find("#prompt").send_keys("grinning face on a purple background")
    page.wait_for_pictures(2)
    page.find(".cell").click()
    page.wait("the viewer", "return document.getElementById('viewer').open")
    page.find("#viewer-input").click()
    page.wait("the thumbnail", "return document.getElementById('input-thumbnail').naturalWidth > 0")
    assert page.is_shown("#order-strength")
    page.wait(
        "an edit", "return performance.getEntriesByType('resource')"
        ".some(({ name }) => name.endsWith('/v1/images/edits'))")
    page.wait_for_pictures(2)
    page.find("#input-remove").click()
    page.wait_for_pictures(2)
    assert not page.is_shown("#input-picture")


def a_picture_is_downloaded_as_it_came(page, server):
    page.open()
    page.set("#n", 1)
    page.find("#prompt").send_keys("rocket on a black background")
    page.wait_for_pictures(1)
    page.find(".cell").click()
    link = page.find("#viewer-download")
    assert link.get_attribute("download").startswith("rocket-on-a-black-background-"), "no name"
    head = page.driver.execute_async_script(
        "const done = arguments[0]; const request = new Image();"
        "request.onload = () => done(request.naturalWidth); request.src ="
        " document.getElementById('viewer-download').href")
    assert head == 64, f"the file is {head} pixels wide"


def the_history_brings_settings_back(page, server):
    page.open()
    page.set("#n", 2)
    page.set("#steps", 5)
    page.find("#prompt").send_keys("tangerine on a blue background")
    page.wait_for_pictures(2)
    first = page.pictures()
    page.driver.refresh()
    page.wait("the models", "return document.querySelectorAll('#model option').length > 0")
    page.find(".past").click()
    page.wait_for_pictures(2, "tangerine on a blue background")
    assert page.find("#steps").get_property("value") == "5"
    assert page.pictures() == first, "the history made other images"
    page.find("#history-clear").click()
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


def a_drawing_is_answered(page, server):
    page.open("live")
    page.find("#live-toggle").click()
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
    page.find("#live-toggle").click()
    time.sleep(0.3)
    assert page.status()["streams"] == [], "the stream continues"


def the_webcam_is_answered(page, server):
    page.open("live")
    page.run("document.querySelector('[name=source][value=webcam]').click()")
    page.find("#source-start").click()
    page.wait_for_live_picture(3)
    page.wait("frames a second", "return Number(document.getElementById('live-rate').textContent) > 0")
    page.find("#live-toggle").click()
    assert page.run("return document.getElementById('moving').srcObject === null"), "the webcam is on"


def the_screen_is_answered(page, server):
    page.open("live")
    page.run("document.querySelector('[name=source][value=screen]').click()")
    page.find("#source-start").click()
    page.wait_for_live_picture(1)
    page.find("#live-toggle").click()
    assert page.run("return document.getElementById('moving').srcObject === null"), "the screen is shared on"


def a_file_is_answered(page, server):
    page.open("live")
    page.run("document.querySelector('[name=source][value=file]').click()")
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(page.driver.get_screenshot_as_png())
        file.flush()
        page.find("#source-file").send_keys(file.name)
        page.wait_for_live_picture(0)
    page.find("#live-toggle").click()


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
    page.find("#live-toggle").click()
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
    page.find("#live-toggle").click()
    time.sleep(0.3)
    page.errors()  # Chromium logs each failed connection.


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
    page.find("#live-toggle").click()
    page.wait_for_live_picture(0)
    page.press(Keys.ESCAPE)
    assert page.text("#live-toggle") == "Start", "the stream continues"


def a_count_and_the_time_left_are_shown(page, server):
    page.open()
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
    page.wait("the sum", "return /^16 images of 64 × 64 pixels in [0-9.]+ s[.]$/.test("
              "document.getElementById('order-progress').textContent)")
    assert page.text("#order-estimate") == "", "an estimate is left"


def unknown_words_are_told_below_the_prompt(page, server):
    page.open()
    page.set("#n", 2)
    page.type("a foks on a blu background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(2, "a foks on a blu background")
    warnings = page.text("#order-warnings")
    for words in ["does not know 'foks'; nearest: fox", "does not know 'blu'; nearest: blue"]:
        assert words in warnings, f"the warnings are {warnings!r}"
    page.type("a fox on a blue background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(2, "a fox on a blue background")
    assert not page.is_shown("#order-warnings"), page.text("#order-warnings")
    page.set("#size", "custom")
    page.set("#custom-size", "128x128")
    page.press(Keys.ENTER)
    page.wait("advice on the size", "return document.getElementById('order-warnings')"
              ".textContent.includes('was trained for 64x64 pixels')")


def surprise_me_fills_in_a_known_prompt(page, server):
    page.open()
    page.set("#n", 1)
    page.wait("the button", "return document.getElementById('surprise').checkVisibility()")
    last, seen = "", set()
    for _ in range(3):
        page.find("#surprise").click()
        page.wait("another prompt", "return document.getElementById('prompt').value !== arguments[0]", last)
        last = page.find("#prompt").get_property("value")
        seen.add(last)
        assert " on a " in last and last.endswith(" background"), last
        page.wait_for_pictures(1, last)
        assert not page.is_shown("#order-warnings"), page.text("#order-warnings")
    assert len(seen) > 1, seen
    sizes = page.run("return [...document.getElementById('size').options].map(({ value }) => value)")
    assert sizes == ["64x64", "custom"], sizes


def small_images_say_their_true_size(page, server):
    page.open()
    page.set("#n", 1)
    page.type("rocket on a black background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(1)
    assert page.run("return getComputedStyle(document.querySelector('.cell img')).imageRendering") == "pixelated"
    page.find(".cell").click()
    page.wait("the size", "return /^64 × 64 pixels, enlarged [0-9.]+ times[.]$/.test("
              "document.getElementById('viewer-size').textContent)")


def all_images_are_downloaded_in_one_file(page, server):
    page.open()
    page.set("#n", 3)
    page.set("#seed", 7)
    page.type("a rocket on a black background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(3)
    page.wait("the button", "return document.getElementById('download-all').checkVisibility()")
    page.find("#download-all").click()
    name, data = page.downloaded(".zip")
    assert name == "a-rocket-on-a-black-background.zip", name
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None, "a checksum is wrong"
        assert archive.namelist() == [
            f"{index + 1:03}-a-rocket-on-a-black-background-{index + 7}.png" for index in range(3)]
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
    page.find(".past").click()
    page.wait_for_pictures(6, "tangerine on a blue background")
    assert page.pictures() == first, "the history has other images"
    assert page.requests("/v1/images/generations") == 0, "the images were generated again"
    assert page.is_shown("#download-all")
    count = ("const done = arguments[0]; const request = indexedDB.open('streamflow', 1);"
             "request.onsuccess = () => { const all = request.result.transaction('images')"
             ".objectStore('images').count(); all.onsuccess = () => done(all.result); }")
    assert page.driver.execute_async_script(count) == 1
    page.find("#history-clear").click()
    page.wait("no history", "return document.querySelectorAll('.past').length === 0")
    deadline = time.monotonic() + page.patience
    while page.driver.execute_async_script(count):
        assert time.monotonic() < deadline, "the images are still stored"
        time.sleep(0.05)


def live_images_are_saved_recorded_and_sent_to_create(page, server):
    page.open("live")
    assert not page.find("#output-snapshot").is_enabled(), "there is nothing to save yet"
    page.run("document.querySelector('[name=source][value=webcam]').click()")
    page.find("#source-start").click()
    page.wait_for_live_picture(0)
    page.find("#output-snapshot").click()
    name, data = page.downloaded(".png")
    assert data.startswith(b"\x89PNG") and name.startswith("streamflow-"), name
    page.find("#output-record").click()
    assert page.find("#output-record").get_attribute("aria-pressed") == "true"
    page.wait_for_live_picture(page.live_pictures() + 8)
    page.find("#output-record").click()
    name, data = page.downloaded(".webm")
    assert data.startswith(b"\x1aE\xdf\xa3") and len(data) > 500, f"{name} of {len(data)} bytes"
    page.find("#output-screen").click()
    page.wait("the full screen", "return document.fullscreenElement?.id === 'output-view'")
    page.run("return document.exitFullscreen()")
    page.wait("no full screen", "return !document.fullscreenElement")
    page.find("#live-toggle").click()
    page.find("#output-send").click()
    page.wait("Create", "return !document.getElementById('page-create').hidden")
    page.wait("the thumbnail", "return document.getElementById('input-thumbnail').naturalWidth === 64")


def live_numbers_are_explained(page, server):
    page.open("live")
    for word in ["Stages", "Gain"]:
        explained = page.run(
            "return [...document.querySelectorAll('#live-numbers > div')]"
            ".find((box) => box.querySelector('dt').textContent === arguments[0])?.title", word)
        assert explained and len(explained) > 30, f"{word}: {explained}"
    page.find(".meanings summary").click()
    assert page.is_shown(".meanings dd")
    page.type("a foks", "#live-prompt")
    page.find("#live-toggle").click()
    page.wait("the warning", "return document.getElementById('live-warnings').textContent.includes('foks')")
    page.find("#live-toggle").click()


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
    typing_makes_pictures, pictures_sharpen_step_by_step, a_newer_prompt_cancels_the_older,
    a_locked_seed_keeps_pictures, a_picture_is_used_as_input, a_picture_is_downloaded_as_it_came,
    the_history_brings_settings_back, a_wrong_number_is_told_at_its_field,
    what_the_server_refuses_is_told_at_its_field, a_drawing_is_answered,
    the_prompt_has_the_focus, escape_stops, a_count_and_the_time_left_are_shown,
    unknown_words_are_told_below_the_prompt, surprise_me_fills_in_a_known_prompt,
    small_images_say_their_true_size, all_images_are_downloaded_in_one_file, the_history_has_full_images,
    live_images_are_saved_recorded_and_sent_to_create, live_numbers_are_explained,
    the_live_prompt_is_above_the_canvases_on_a_phone,
    the_webcam_is_answered, the_screen_is_answered, a_file_is_answered, the_status_shows_rows,
    the_keyboard_is_enough, nothing_scrolls_sideways_on_a_phone, a_restarted_server_is_found_again,
]


def photograph(page, folder):
    """Screenshots of all pages in both sizes and color schemes."""
    folder.mkdir(parents=True, exist_ok=True)
    for size in [DESKTOP, PHONE]:
        page.resize(size)
        for scheme in ["light", "dark"]:
            page.prefer(prefers_color_scheme=scheme)

            def shoot(name):
                path = folder / f"{name}-{size[0]}x{size[1]}-{scheme}.png"
                page.driver.save_screenshot(str(path))

            page.open()
            shoot("begin")
            for prompt in ["tomato on a yellow background", "cat face on an orange background",
                           "grinning face on a purple background"]:
                page.type(prompt)
                page.press(Keys.ENTER)
                page.wait_for_pictures(8, prompt)
            shoot("create")
            page.find(".cell").click()
            time.sleep(0.3)
            shoot("viewer")
            page.find("#viewer-input").click()
            page.wait_for_pictures(8)
            shoot("input")
            page.go("live")
            page.find("#live-toggle").click()
            page.wait_for_live_picture(0)
            page.wait("the numbers", "return document.getElementById('live-rate').textContent !== '–'")
            shoot("live")
            page.go("create")
            # Others' images with as many steps as they like, so that the batch is mixed.
            for number, steps in [(3, 14), (4, 25)]:
                page.run(
                    "fetch('v1/images/generations', { method: 'POST', body: JSON.stringify({ n: arguments[0],"
                    " steps: arguments[1], prompt: 'rocket', stream: true }),"
                    " headers: { 'Content-Type': 'application/json', Authorization:"
                    " `Bearer ${sessionStorage.getItem('streamflow-token')}` } })", number, steps)
                time.sleep(0.2)
            page.set("#n", 5)
            page.set("#steps", 20)
            page.find("#make").click()
            page.wait("previews", "return document.querySelectorAll('.cell.waiting img').length > 0")
            page.go("status")
            page.wait("rows", "return document.querySelectorAll('.flight-row .now').length > 0")
            time.sleep(0.6)
            shoot("status")
            page.go("live")
            page.find("#live-toggle").click()
    page.prefer()
    page.resize(DESKTOP)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streamflow", help="the binary whose server is tested")
    parser.add_argument("--url", help="a server that is there already, in its place")
    parser.add_argument("--screenshots", type=pathlib.Path, help="a folder to keep images of the page in")
    parser.add_argument("--token", help="the token that the server asks for")
    parser.add_argument("--only", help="only the tests whose name has this in it")
    parser.add_argument("--patience", type=float, default=90, help="seconds to wait for anything")
    parser.add_argument("arguments", nargs="*", help="more arguments of `streamflow serve`, after --")
    options = parser.parse_args()
    if (options.streamflow is None) == (options.url is None):
        parser.error("say --streamflow or --url")

    server = None
    if options.streamflow:
        server = Server(options.streamflow, options.arguments, options.patience)
        server.start()
    page = None
    passed = failed = 0
    try:
        page = Page(options.url or server.url, options.patience, options.token)
        for test in TESTS:
            name = test.__name__.replace("_", " ")
            if options.only and options.only not in name and options.only not in test.__name__:
                continue
            if server is None and test is a_restarted_server_is_found_again:
                print(f"skip  {name}: needs --streamflow")
                continue
            begin = time.monotonic()
            try:
                test(page, server)
                errors = page.errors()
                assert not errors, "the console says " + json.dumps(errors)
                passed += 1
                print(f"ok    {name} ({time.monotonic() - begin:.1f} s)", flush=True)
            except Exception as error:
                failed += 1
                where = traceback.extract_tb(error.__traceback__)[-1]
                print(f"FAIL  {name}: {error} ({where.name}, line {where.lineno})", flush=True)
                if options.screenshots:
                    options.screenshots.mkdir(parents=True, exist_ok=True)
                    page.driver.save_screenshot(str(options.screenshots / f"FAIL-{test.__name__}.png"))
                page.errors()
                if server and server.process.poll() is not None:
                    print("      the server ended; it is started again. Its last words were:")
                    print("      " + "      ".join(server.lines[-12:]), flush=True)
                    server.start()
        if options.screenshots:
            try:
                photograph(page, options.screenshots)
            except Exception as error:
                failed += 1
                print(f"FAIL  the screenshots: {error}", flush=True)
    finally:
        if page:
            page.quit()
        if server:
            server.stop()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
