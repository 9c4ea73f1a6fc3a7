"""A server, and its page in a browser."""

import contextlib
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

from selenium import webdriver
from selenium.common import exceptions
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


DESKTOP, PHONE = (1280, 800), (390, 844)
PAGES = ["create", "live", "status"]
# What a click meets while the page is being laid out or drawn anew.
NOT_YET = (
    exceptions.ElementClickInterceptedException, exceptions.ElementNotInteractableException,
    exceptions.NoSuchElementException, exceptions.StaleElementReferenceException)


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
        self.click(f"nav [data-page={page}]")
        self.wait(f"the page {page}", f"return !document.getElementById('page-{page}').hidden")

    def run(self, script, *values):
        return self.driver.execute_script(script, *values)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector):
        """Clicks an element, once it is there, in view and covered by nothing."""
        def done(_):
            self.find(selector).click()
            return True

        WebDriverWait(self.driver, self.patience, 0.05, ignored_exceptions=NOT_YET).until(done, selector)

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

    def ask(self, path):
        """What the server answers, as JSON."""
        return self.driver.execute_async_script(
            "const [path, done] = arguments; const token = sessionStorage.getItem('streamflow-token');"
            "fetch(path, { headers: token ? { Authorization: `Bearer ${token}` } : {} })"
            ".then((answer) => answer.json()).then(done)", path)

    def status(self):
        """What the server says of itself."""
        return self.ask("v1/status")

    def side(self):
        """The width of the images of the server's first model, which is also their height."""
        return self.ask("v1/models")["data"][0]["streamflow"]["width"]

    def errors(self):
        """What the console said since it was last asked."""
        said = [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] in ("SEVERE", "WARNING")]
        # The answer that makes the page ask for the token.
        return [message for message in said if not (self.token and " 401 " in message)]
