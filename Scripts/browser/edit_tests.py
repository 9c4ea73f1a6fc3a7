"""What is tested of editing on the page Create, each a sentence."""

import time

from selenium.webdriver import ActionChains, Keys

from browser import DESKTOP, PHONE


def with_input(page, count=1):
    """Opens the page with a finished image as input."""
    page.open()
    page.set("#upscale", "")
    page.set("#n", count)
    page.type("grinning face on a purple background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(count)
    page.click(".cell")
    page.click("#viewer-input")
    page.wait("the thumbnail", "return document.getElementById('input-thumbnail').naturalWidth > 0")
    page.wait_for_pictures(count)


def stroke(page, canvas, *moves):
    """Paints a stroke from the middle of a canvas."""
    actions = ActionChains(page.driver).move_to_element(page.find(canvas)).click_and_hold()
    for x, y in moves:
        actions = actions.move_by_offset(x, y)
    actions.release().perform()


def painted(page, canvas):
    """The share of a mask's pixels that are painted."""
    return page.run(
        "const view = document.querySelector(arguments[0]);"
        "const copy = document.createElement('canvas'); [copy.width, copy.height] = [view.width, view.height];"
        "const context = copy.getContext('2d', { willReadFrequently: true }); context.drawImage(view, 0, 0);"
        "const { data } = context.getImageData(0, 0, view.width, view.height);"
        "let count = 0; for (let place = 3; place < data.length; place += 4) if (data[place] > 60) count += 1;"
        "return count / data.length * 4", canvas)


def pixels(page, script):
    """The pixels of an image that a script returns, as bytes."""
    return page.run(
        f"const image = {script}; const canvas = document.createElement('canvas');"
        "[canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];"
        "const context = canvas.getContext('2d'); context.drawImage(image, 0, 0);"
        "return [...context.getImageData(0, 0, canvas.width, canvas.height).data]")


def a_mask_is_painted_erased_inverted_and_undone(page, server):
    with_input(page)
    page.click("#input-mask")
    page.wait("the mask", "return document.getElementById('mask-dialog').open")
    assert painted(page, "#mask-canvas") == 0
    stroke(page, "#mask-canvas", (60, 0), (0, 60))
    first = painted(page, "#mask-canvas")
    assert 0.01 < first < 0.3, first
    page.click(":has(> #mask-canvas-erase)")
    stroke(page, "#mask-canvas", (20, 0))
    assert painted(page, "#mask-canvas") < first
    page.click("#mask-canvas-undo")
    assert painted(page, "#mask-canvas") == first
    page.click("#mask-canvas-invert")
    assert abs(painted(page, "#mask-canvas") - (1 - first)) < 0.05
    page.click("#mask-canvas-clear")
    assert painted(page, "#mask-canvas") == 0
    # The keyboard paints too.
    page.click(":has(> #mask-canvas-paint)")
    page.run("document.getElementById('mask-canvas').focus()")
    ActionChains(page.driver).key_down(Keys.SPACE).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN) \
        .key_up(Keys.SPACE).perform()
    assert painted(page, "#mask-canvas") > 0.005
    page.click("#mask-done")
    page.wait("the mask", "return document.getElementById('input-mask').getAttribute('aria-pressed') === 'true'")
    page.wait_for_pictures(1)
    assert page.text("#order-strength-value") == "0.75", "a mask's strength"
    # Another image has no mask, and the strength of none.
    page.click(".cell")
    page.click("#viewer-input")
    page.wait("no mask", "return document.getElementById('input-mask').getAttribute('aria-pressed') === 'false'")
    page.wait("the strength", "return document.getElementById('order-strength-value').value === '0.60'")
    page.wait_for_pictures(1)


def what_the_mask_does_not_cover_is_kept(page, server):
    with_input(page)
    before = pixels(page, "document.getElementById('input-thumbnail')")
    page.set("#order-strength", 1)
    page.click("#input-mask")
    page.set("#mask-canvas-softness", 0)
    stroke(page, "#mask-canvas", (100, 0), (0, 100))
    page.click("#mask-done")
    page.wait("the mask", "return document.getElementById('input-mask').getAttribute('aria-pressed') === 'true'")
    page.wait_for_pictures(1)
    after = pixels(page, "document.querySelector('.cell img')")
    side = page.side()
    places = [4 * (side * y + x) for y in range(side // 4) for x in range(side // 4)]
    kept = all(before[place:place + 3] == after[place:place + 3] for place in places)
    assert kept, "pixels outside the mask changed"
    assert before != after, "nothing was repainted"


def an_edit_is_compared_with_its_input(page, server):
    with_input(page)
    page.click(".cell")
    page.wait("the comparison", "return document.getElementById('viewer-before').naturalWidth > 0")
    page.set("#viewer-split", 20)
    split = page.run("return document.getElementById('compare').style.getPropertyValue('--split')")
    assert split == "20%", split
    page.find("#viewer-split").send_keys(Keys.ARROW_RIGHT)
    assert page.find("#viewer-split").get_property("value") == "21", "the arrow turned to another image"
    page.click("#viewer-close")
    page.click("#input-remove")
    page.wait_for_pictures(1)
    page.click(".cell")
    assert not page.is_shown("#viewer-split"), "there is nothing to compare"
    page.click("#viewer-close")


def an_edit_method_reads_a_source_prompt(page, server):
    page.open()
    assert not page.run("return !document.getElementById('edit-fields').hidden"), "there is no input"
    with_input(page)
    page.run("document.querySelector('#order .more').open = true")
    # The starter reads no references.
    assert page.run("return document.querySelector('#method [value=instruct]').disabled")
    page.set("#method", "flowedit")
    page.wait("the error", "return document.getElementById('source_prompt-error')?.checkVisibility()")
    page.type("grinning face on a red background")
    page.set("#source_prompt", "grinning face on a purple background")
    page.wait_for_pictures(1, "grinning face on a red background")
    assert page.text("#order-strength-value") == "auto", "the method's own strength"
    page.click(".cell")
    assert "flowedit" in page.text("#viewer-facts")
    page.click("#viewer-close")
    # An order of the history has the method's own strength again.
    page.find("#prompt").send_keys(Keys.ENTER)
    page.wait_for_pictures(1, "grinning face on a red background")
    count = page.count(".past")
    page.set("#order-strength", 0.9)
    time.sleep(0.5)
    page.wait_for_pictures(1, "grinning face on a red background")
    page.wait("another entry", "return document.querySelectorAll('.past').length > arguments[0]", count)
    assert page.text("#order-strength-value") == "0.90"
    page.driver.find_elements("css selector", ".past")[1].click()
    page.wait("the strength", "return document.getElementById('order-strength-value').value === 'auto'")
    page.wait_for_pictures(1, "grinning face on a red background")
    page.set("#method", "rf-inversion")
    assert not page.is_shown("#source-prompt-field")
    time.sleep(0.5)
    page.wait_for_pictures(1, "grinning face on a red background")


def a_result_is_upscaled(page, server):
    page.open()
    page.set("#n", 2)
    page.type("tomato on a yellow background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(2)
    small, side = page.pictures(), page.side()
    page.driver.find_elements("css selector", ".cell")[1].click()
    page.click("[data-factor='4']")
    page.wait("the size", "return document.getElementById('viewer-size').textContent.startsWith(arguments[0])",
              f"{4 * side} × {4 * side}")
    assert page.find("#viewer-download").get_attribute("download").endswith("-4x.png")
    page.click("#viewer-close")
    page.wait("the grid", "return document.querySelectorAll('.cell img')[1].naturalWidth === arguments[0]", 4 * side)
    # The same image: its mean over four by four pixels is near the small one's.
    near = page.driver.execute_async_script(
        "const [url, side, done] = arguments; const small = new Image(); small.onload = () => {"
        " const read = (image) => { const canvas = document.createElement('canvas'); canvas.width = canvas.height = side;"
        " const context = canvas.getContext('2d'); context.imageSmoothingQuality = 'high';"
        " context.drawImage(image, 0, 0, side, side); return context.getImageData(0, 0, side, side).data; };"
        " const [one, other] = [read(small), read(document.querySelectorAll('.cell img')[1])];"
        " done(one.reduce((sum, value, index) => sum + Math.abs(value - other[index]), 0) / one.length) };"
        "small.src = url", small[1], side)
    assert near < 4, f"the mean difference is {near}"


def an_order_is_upscaled(page, server):
    page.open()
    page.set("#n", 2)
    page.set("#upscale", 2)
    page.type("tomato on a yellow background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(2)
    side = page.run("return document.querySelector('.cell img').naturalWidth")
    page.click(".cell")
    assert "upscaled 2 times" in page.text("#viewer-facts")
    assert page.find("#viewer-download").get_attribute("download").endswith("-2x.png")
    page.click("#viewer-close")
    page.set("#upscale", "")
    page.wait("the small images",
              "return document.querySelector('.cell img')?.naturalWidth * 2 === arguments[0]", side)


def variations_are_near_their_image(page, server):
    page.open()
    page.set("#n", 1)
    page.type("cat face on an orange background")
    page.press(Keys.ENTER)
    page.wait_for_pictures(1)
    base, seed = page.pictures()[0], page.find("#seed").get_property("value")
    page.click(".cell")
    page.click("#viewer-variations")
    page.wait("the variations", "return document.getElementById('variation').checkVisibility()")
    assert page.text("#variation-seed") == seed
    time.sleep(0.2)
    page.wait_for_pictures(1)
    assert page.pictures()[0] != base
    # Strength 0 is the image itself.
    page.set("#variation-strength", 0)
    time.sleep(0.5)
    page.wait_for_pictures(1)
    assert page.pictures()[0] == base
    page.click("#variation-remove")
    page.wait("no variations", "return !document.getElementById('variation').checkVisibility()")
    page.wait_for_pictures(1)


def alternatives_in_a_prompt_make_a_grid(page, server):
    page.open()
    page.set("#n", 1)
    page.type("{tomato|rocket} on a {red|blue|black} background")
    page.wait_for_pictures(6)
    captions = page.run("return [...document.querySelectorAll('.caption')].map((box) => box.textContent)")
    assert captions == [f"{one} · {other}" for one in ["tomato", "rocket"] for other in ["red", "blue", "black"]]
    label = page.driver.find_elements("css selector", ".cell")[4].get_attribute("aria-label")
    assert label.endswith("rocket on a blue background"), label
    page.wait("the history", "return document.querySelectorAll('.past').length === 1")
    page.driver.refresh()
    page.wait("the models", "return document.querySelectorAll('#model option').length > 0")
    page.click(".past")
    page.wait_for_pictures(6)
    assert page.count(".caption:not([hidden])") == 6
    page.type("{a|b|c|d} {a|b|c|d} {a|b|c|d|e}")
    page.wait("the error", "return document.getElementById('n-error')?.checkVisibility()")


def the_history_has_the_input_and_its_mask(page, server):
    with_input(page)
    page.click("#seed-lock")
    page.click("#input-mask")
    stroke(page, "#mask-canvas", (60, 0), (0, 60))
    share = painted(page, "#mask-canvas")
    page.click("#mask-done")
    page.wait("the mask", "return document.getElementById('input-mask').getAttribute('aria-pressed') === 'true'")
    page.wait_for_pictures(1)
    before, made = pixels(page, "document.getElementById('input-thumbnail')"), page.pictures()
    page.wait("the facts", "return document.querySelector('.past-facts').textContent.includes('from an image')")
    page.driver.refresh()
    page.wait("the models", "return document.querySelectorAll('#model option').length > 0")
    page.click(".past")
    page.wait("the thumbnail", "return document.getElementById('input-thumbnail').naturalWidth > 0")
    page.wait_for_pictures(1)
    assert page.pictures() == made, "the history has another image"
    assert pixels(page, "document.getElementById('input-thumbnail')") == before, "the input is another"
    page.wait("the mask", "return document.getElementById('input-mask').getAttribute('aria-pressed') === 'true'")
    page.click("#input-mask")
    assert abs(painted(page, "#mask-canvas") - share) < 0.001, "the mask is another"
    page.click("#mask-done")
    # Its parts make the same image again.
    page.find("#prompt").send_keys(Keys.ENTER)
    page.wait_for_pictures(1)
    assert page.pictures() == made, "the parts make another image"
    page.click(".cell")
    assert page.is_shown("#viewer-split") and page.is_shown("#viewer-variations")
    page.click("#viewer-close")
    # An entry without an image has none.
    page.driver.find_elements("css selector", ".past")[-1].click()
    page.wait("no input", "return !document.getElementById('input-picture').checkVisibility()")


def an_image_is_dropped_or_pasted_anywhere(page, server):
    drop = (
        "const [target, name] = arguments; const done = arguments[2];"
        "const canvas = document.createElement('canvas'); canvas.width = canvas.height = 48;"
        "canvas.getContext('2d').fillRect(0, 0, 20, 20); canvas.toBlob((blob) => {"
        " const transfer = new DataTransfer(); transfer.items.add(new File([blob], 'a.png', { type: 'image/png' }));"
        " const event = name === 'paste' ? new ClipboardEvent(name, { clipboardData: transfer, bubbles: true })"
        " : new DragEvent(name, { dataTransfer: transfer, bubbles: true, cancelable: true });"
        " document.querySelector(target).dispatchEvent(event); done() })")
    for start, target, name in [("create", "#history", "drop"), ("status", "#totals", "drop"), ("status", "body", "paste")]:
        page.open(start)
        page.driver.execute_async_script(drop, target, name)
        page.wait("the thumbnail", "return document.getElementById('input-thumbnail').naturalWidth === 48")
        assert page.is_shown("#page-create")
    page.open("live")
    page.driver.execute_async_script(drop, "#live-title", "drop")
    page.wait_for_live_picture(0)
    assert page.is_shown("#page-live") and page.is_shown("#still")
    page.click("#live-toggle")


def masks_and_variations_fit_a_phone(page, server):
    with_input(page)
    page.resize(PHONE)
    try:
        page.click("#input-mask")
        width = page.run("return document.documentElement.scrollWidth")
        assert width <= PHONE[0], f"the page is {width} wide"
        box = page.run("return document.getElementById('mask-dialog').getBoundingClientRect().toJSON()")
        assert box["left"] >= 0 and box["right"] <= PHONE[0] and box["bottom"] <= PHONE[1], box
        for name in ["mask-canvas-undo", "mask-done"]:
            edge = page.run("return document.getElementById(arguments[0]).getBoundingClientRect().right", name)
            assert edge <= box["right"], f"{name} ends at {edge}"
        # A finger paints, and the page does not scroll under it.
        view = page.run("return document.getElementById('mask-canvas').getBoundingClientRect().toJSON()")
        x, y = view["left"] + view["width"] / 3, view["top"] + view["height"] / 3
        for kind, place in [("touchStart", (x, y)), ("touchMove", (x + 30, y + 40)), ("touchEnd", None)]:
            page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {
                "type": kind, "touchPoints": [{"x": place[0], "y": place[1]}] if place else []})
        assert painted(page, "#mask-canvas") > 0.005
        page.click("#mask-done")
        page.wait("the mask", "return document.getElementById('input-mask').getAttribute('aria-pressed') === 'true'")
        page.wait_for_pictures(1)
        page.click(".cell")
        page.click("#viewer-variations")
        page.wait("the variations", "return document.getElementById('variation').checkVisibility()")
        page.wait_for_pictures(1)
        width = page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, f"the variations are {width} too wide"
    finally:
        page.resize(DESKTOP)


TESTS = [
    a_mask_is_painted_erased_inverted_and_undone, what_the_mask_does_not_cover_is_kept,
    an_edit_is_compared_with_its_input, an_edit_method_reads_a_source_prompt, a_result_is_upscaled,
    an_order_is_upscaled, variations_are_near_their_image, alternatives_in_a_prompt_make_a_grid,
    the_history_has_the_input_and_its_mask, an_image_is_dropped_or_pasted_anywhere, masks_and_variations_fit_a_phone,
]
