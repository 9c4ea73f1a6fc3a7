"""Screenshots of the page."""

import time

from selenium.webdriver import Keys

from browser import DESKTOP, PHONE
from edit_tests import stroke


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
            page.set("#n", 1)
            page.type("{tomato|cat face} on a {red|blue|black} background")
            page.wait_for_pictures(6)
            shoot("grid")
            page.set("#n", 8)
            for prompt in ["tomato on a yellow background", "cat face on an orange background",
                           "grinning face on a purple background"]:
                page.type(prompt)
                page.press(Keys.ENTER)
                page.wait_for_pictures(8, prompt)
            shoot("create")
            page.click(".cell")
            time.sleep(0.3)
            shoot("viewer")
            page.click("#viewer-input")
            page.wait_for_pictures(8)
            shoot("input")
            page.click("#input-mask")
            stroke(page, "#mask-canvas", (60, 0), (-40, 60))
            shoot("mask")
            page.click("#mask-done")
            page.wait("the mask", "return document.getElementById('input-mask').ariaPressed === 'true'")
            page.wait_for_pictures(8)
            page.click(".cell")
            time.sleep(0.5)
            shoot("compare")
            page.click("#viewer-variations")
            time.sleep(0.5)
            page.wait_for_pictures(8)
            page.run("document.querySelector('#order .more').open = true")
            page.set("#method", "flowedit")
            page.set("#source_prompt", "grinning face on a purple background")
            page.wait_for_pictures(8)
            shoot("variations")
            page.go("live")
            page.click("#live-toggle")
            page.wait_for_live_picture(0)
            page.wait("the numbers", "return document.getElementById('live-rate').textContent !== '–'")
            shoot("live")
            page.click("#output-mask")
            stroke(page, "#live-mask", (40, 0), (0, 40))
            time.sleep(0.5)
            shoot("live-mask")
            page.click("#output-mask")
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
            page.click("#make")
            page.wait("previews", "return document.querySelectorAll('.cell.waiting img').length > 0")
            page.go("status")
            page.wait("rows", "return document.querySelectorAll('.flight-row .now').length > 0")
            time.sleep(0.6)
            shoot("status")
            page.go("live")
            page.click("#live-toggle")
    page.prefer()
    page.resize(DESKTOP)
