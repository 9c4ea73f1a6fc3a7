"""What is tested of adapters and of the live mask, each a sentence.

A tiny checkpoint of the tests has them; its images are noise.
"""

import base64
import pathlib
import tempfile
import time

from selenium.webdriver import Keys

from edit_tests import painted, stroke

MODELS = pathlib.Path(__file__).parents[2] / "Tests/StreamFlowTests/Fixtures/models"
ENCODER = MODELS.parents[2] / "FlowModelsTests/Fixtures/image-adapters/image_encoder"
# The arguments of a server whose second model has adapters.
ARGUMENTS = [
    "--model", "starter", "--model",
    f"adapted={MODELS}/sd,adapter={MODELS}/controlnet,adapter={MODELS}/t2i-adapter,"
    f"adapter={MODELS}/ip-plain.safetensors,image-encoder={ENCODER}",
]


def choose(page, prefix):
    """Chooses the model with adapters, which is loaded then."""
    page.set(f"#{prefix}model", "adapted")
    place = {"": "adapters", "live-": "live-adapters"}[prefix]
    page.wait("the adapters", "return document.querySelectorAll(`#${arguments[0]} .adapter`).length === 3", place)
    return place


def image_file(page, background=None):
    """A file with an image that the browser draws: a white rectangle on a color or on nothing."""
    data = page.run(
        "const canvas = document.createElement('canvas'); canvas.width = canvas.height = 64;"
        "const context = canvas.getContext('2d');"
        "if (arguments[0]) { context.fillStyle = arguments[0]; context.fillRect(0, 0, 64, 64); }"
        "context.fillStyle = 'white'; context.fillRect(20, 10, 30, 40);"
        "return canvas.toDataURL('image/png').split(',')[1]", background)
    path = pathlib.Path(tempfile.mkdtemp()) / "control.png"
    path.write_bytes(base64.b64decode(data))
    return str(path)


def with_a_fox(page):
    """Opens the page with an image of the model with adapters, whose seed is kept; gives where the adapters are."""
    page.open()
    page.set("#n", 1)
    place = choose(page, "")
    page.set("#steps", 2)
    page.click("#seed-lock")
    page.type("a fox")
    page.press(Keys.ENTER)
    page.wait_for_pictures(1, "a fox")
    return place


def adapters_read_images(page, server):
    place = with_a_fox(page)
    plain = page.pictures()[0]
    page.find(f"#{place}-controlnet-file").send_keys(image_file(page))
    page.wait("the thumbnail", "return document.querySelector('.adapter-image img').checkVisibility()")
    time.sleep(0.5)
    page.wait_for_pictures(1, "a fox")
    controlled = page.pictures()[0]
    assert controlled != plain, "the adapter does nothing"
    page.set(f"#{place}-controlnet-scale", 0)
    time.sleep(0.5)
    page.wait_for_pictures(1, "a fox")
    assert page.pictures()[0] == plain, "strength 0 does something"
    page.run(
        "const field = document.getElementById(arguments[0]); field.value = 'off';"
        "field.dispatchEvent(new Event('change', { bubbles: true }))", f"{place}-controlnet-source")
    time.sleep(0.5)
    page.wait_for_pictures(1, "a fox")
    # Without an input image there is none that it could read.
    page.run(
        "const field = document.getElementById(arguments[0]); field.value = 'own';"
        "field.dispatchEvent(new Event('change', { bubbles: true }))", f"{place}-controlnet-source")
    page.wait("the error", "return document.getElementById('order-error').textContent.includes('image')")
    assert any("400" in message for message in page.errors()), "the server took it"
    # The starter has no adapters.
    page.set("#model", "starter")
    page.wait("no adapters", "return document.getElementById('adapters').hidden")


def an_ip_adapter_applies_to_the_white_areas_of_a_mask(page, server):
    place = with_a_fox(page)
    file = image_file(page)
    page.find(f"#{place}-ip-plain-file").send_keys(file)
    time.sleep(0.5)
    page.wait_for_pictures(1, "a fox")
    whole = page.pictures()[0]
    # What is transparent in a mask counts as black.
    masked = []
    for mask in (file, image_file(page, background="black")):
        page.find(f"#{place}-ip-plain-mask").send_keys(mask)
        time.sleep(0.5)
        page.wait_for_pictures(1, "a fox")
        masked.append(page.pictures()[0])
    assert masked[0] != whole, "the mask does nothing"
    assert masked[0] == masked[1], "transparency counts"
    page.run(
        "const field = document.getElementById(arguments[0]); field.value = '';"
        "field.dispatchEvent(new Event('change', { bubbles: true }))", f"{place}-ip-plain-area")
    time.sleep(0.5)
    page.wait_for_pictures(1, "a fox")
    assert page.pictures()[0] == whole, "the mask stays"
    assert not page.run("return Boolean(document.getElementById(arguments[0]))", f"{place}-controlnet-area")


def the_history_has_what_adapters_read(page, server):
    place = with_a_fox(page)
    file = image_file(page)
    for part in ("file", "mask"):
        page.find(f"#{place}-ip-plain-{part}").send_keys(file)
        time.sleep(0.5)
        page.wait_for_pictures(1, "a fox")
    before = page.pictures()
    page.set(f"#{place}-ip-plain-scale", 0.6)
    deadline = time.monotonic() + page.patience
    while page.pictures() == before:
        assert time.monotonic() < deadline, "the strength does nothing"
        time.sleep(0.05)
    page.wait_for_pictures(1, "a fox")
    made = page.pictures()
    page.wait("the history", "return document.querySelectorAll('.past').length > 0")
    page.driver.refresh()
    page.wait("the models", "return document.querySelectorAll('#model option').length > 1")
    page.click(".past")
    page.wait("the adapter's image", "return document.getElementById(arguments[0])?.value === 'image'", f"{place}-ip-plain-source")
    page.wait_for_pictures(1, "a fox")
    assert page.find(f"#{place}-ip-plain-area").get_property("value") == "mask"
    assert page.find(f"#{place}-ip-plain-scale").get_property("value") == "0.6"
    assert page.find(f"#{place}-controlnet-source").get_property("value") == "off"
    page.press(Keys.ENTER)
    page.wait_for_pictures(1, "a fox")
    assert page.pictures() == made, "the parts make another image"


def adapters_read_each_frame_of_a_live_stream(page, server):
    page.open("live")
    place = choose(page, "live-")
    page.set("#live-steps", 2)
    page.click("#live-toggle")
    page.wait_for_live_picture(0)
    page.run(
        "const field = document.getElementById(arguments[0]); field.value = 'own';"
        "field.dispatchEvent(new Event('change', { bubbles: true }))", f"{place}-controlnet-source")
    page.wait_for_live_picture(page.live_pictures())
    # Its engines are made meanwhile; then each position of the slider is another image.
    for scale in [0.5, 1.5]:
        before = page.live_pictures()
        page.set(f"#{place}-controlnet-scale", scale)
        page.wait_for_live_picture(before)
    page.find(f"#{place}-t2i-adapter-file").send_keys(image_file(page))
    page.wait_for_live_picture(page.live_pictures())
    for scale in [0.5, 1.5]:
        before = page.live_pictures()
        page.set(f"#{place}-t2i-adapter-scale", scale)
        page.wait_for_live_picture(before)
    assert not page.is_shown("#live-error"), page.text("#live-error")
    page.click("#live-toggle")


def a_live_mask_keeps_the_rest(page, server):
    page.open("live")
    page.click("#live-toggle")
    page.wait_for_live_picture(0)
    page.set("#live-strength", 1)
    page.wait_for_live_picture(page.live_pictures())
    assert not page.is_shown("#live-mask")
    page.click("#output-mask")
    before = page.live_pictures()
    stroke(page, "#live-mask", (40, 0), (0, 40))
    assert painted(page, "#live-mask") > 0.01
    page.wait_for_live_picture(before)
    page.wait("the mask in use", "return document.getElementById('output-mask').getAttribute('aria-pressed') === 'true'")
    time.sleep(1)
    # A corner that the mask does not cover is that of the drawing: blue.
    color = page.run("return [...document.getElementById('output').getContext('2d').getImageData(2, 2, 1, 1).data]")
    assert color[2] > 150 and color[0] < 110, color
    before = page.live_pictures()
    page.click("#live-mask-clear")
    page.wait("no mask", "return document.getElementById('output-mask').getAttribute('aria-pressed') === 'false'")
    page.wait_for_live_picture(before)
    page.click("#output-mask")
    assert not page.is_shown("#live-mask")
    page.click("#live-toggle")


TESTS = [
    adapters_read_images, an_ip_adapter_applies_to_the_white_areas_of_a_mask, the_history_has_what_adapters_read,
    adapters_read_each_frame_of_a_live_stream,
    a_live_mask_keeps_the_rest,
]
