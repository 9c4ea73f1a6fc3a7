"""OpenAI's own client against the server: python Scripts/clients/openai_client.py --streamflow .build/debug/streamflow

Needs `pip install openai`. Ends with `N passed, N failed`.
"""

import argparse
import base64
import subprocess
import sys
import time
import traceback
import urllib.request

from openai import BadRequestError, NotFoundError, OpenAI

arguments = argparse.ArgumentParser()
arguments.add_argument("--streamflow", default=".build/debug/streamflow")
o = arguments.parse_args()

server = subprocess.Popen(
    [o.streamflow, "serve", "--port", "0", "--log-level", "error"], stderr=subprocess.PIPE, text=True)
address = next(line.split()[-1] for line in server.stderr if line.startswith("listening on"))
client = OpenAI(base_url=f"{address}/v1", api_key="none")
PNG, JPEG = b"\x89PNG", b"\xff\xd8\xff"


def ready():
    for _ in range(600):
        try:
            return urllib.request.urlopen(f"{address}/readyz").status == 200
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not become ready")


def models():
    assert [model.id for model in client.models.list().data] == ["starter"]


def retrieval():
    assert client.models.retrieve("starter").id == "starter"
    try:
        client.models.retrieve("org/other")
        raise AssertionError("an unknown model was found")
    except NotFoundError as error:
        assert error.code == "model_not_found" and "starter" in error.message


def names():
    for model in ["gpt-image-1", "gpt-image-1-mini", "gpt-image-2.5-flare", "dall-e-2", "dall-e-3"]:
        answer = client.images.generate(model=model, prompt="a fox")
        assert base64.b64decode(answer.data[0].b64_json).startswith(PNG)
        assert [warning["code"] for warning in answer.warnings] == ["model_substituted"], answer.warnings


def defaults():
    """What an application that was written for gpt-image-1 sends."""
    answer = client.images.generate(
        model="gpt-image-1", prompt="a fox", n=1, size="auto", quality="high", background="opaque",
        moderation="auto", output_format="jpeg", output_compression=80, user="ann",
        extra_body={"seed": -1})
    assert base64.b64decode(answer.data[0].b64_json).startswith(JPEG)
    assert answer.usage.total_tokens == 0 and answer.background == "opaque"
    assert answer.data[0].seed >= 0
    codes = [(warning["code"], warning["parameter"]) for warning in answer.warnings]
    assert codes == [
        ("parameter_ignored", "quality"), ("parameter_ignored", "moderation"), ("model_substituted", "model")], codes


def pictures():
    answer = client.images.generate(
        model="starter", prompt="a fox on a blue background", n=2, size="auto", quality="high",
        extra_body={"seed": 3, "steps": 4})
    files = [base64.b64decode(picture.b64_json) for picture in answer.data]
    assert len(files) == 2 and all(file.startswith(PNG) for file in files) and files[0] != files[1]
    width, height = (int.from_bytes(files[0][place:place + 4], "big") for place in (16, 20))
    assert answer.output_format == "png" and answer.size == f"{width}x{height}"


def addresses():
    answer = client.images.generate(prompt="sushi", response_format="url", output_format="jpeg")
    assert urllib.request.urlopen(answer.data[0].url).read().startswith(JPEG)


def events():
    seen = list(client.images.generate(prompt="a rocket", stream=True, partial_images=2, extra_body={"steps": 4}))
    assert [event.type for event in seen] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert [event.partial_image_index for event in seen[:2]] == [0, 1]
    assert all(base64.b64decode(event.b64_json).startswith(PNG) for event in seen)
    # One step: OpenAI's document lets the final image come before the partial images.
    seen = list(client.images.generate(prompt="a rocket", stream=True, partial_images=2))
    assert [event.type for event in seen] == ["image_generation.completed"]
    assert seen[0].usage.total_tokens == 0 and seen[0].b64_json
    assert [warning["code"] for warning in seen[0].warnings] == ["partial_images_reduced"]


def edits():
    source = base64.b64decode(client.images.generate(prompt="cat face").data[0].b64_json)
    answer = client.images.edit(image=("cat.png", source), prompt="a fox", extra_body={"strength": "0.5", "steps": "3"})
    assert base64.b64decode(answer.data[0].b64_json).startswith(PNG)
    kinds = [event.type for event in client.images.edit(
        image=("cat.png", source), prompt="a fox", stream=True, partial_images=1, extra_body={"steps": "3"})]
    assert kinds == ["image_edit.partial_image", "image_edit.completed"]
    answer = client.images.edit(model="gpt-image-1", image=[("cat.png", source)], prompt="a fox", input_fidelity="high")
    assert [warning["parameter"] for warning in answer.warnings] == ["input_fidelity", "model"]
    refused(lambda: client.images.edit(image=("a.png", source), mask=("m.png", source), prompt="x"), "mask", "inpainting")
    refused(lambda: client.images.edit(image=[("a.png", source), ("b.png", source)], prompt="x"), "image", "got 2")


def refused(request, parameter, words):
    try:
        request()
        raise AssertionError(f"{parameter} was taken")
    except BadRequestError as error:
        assert error.param == parameter and words in error.message, error.message


def errors():
    refused(lambda: client.images.generate(prompt="x", n=99), "n", "1 to 16")
    refused(lambda: client.images.generate(prompt="x", background="transparent"), "background", "not supported")
    refused(lambda: client.images.generate(prompt="x", output_format="webp"), "output_format", "png or jpeg")
    refused(lambda: client.images.generate(prompt="x", size="1792x1024"), "size", "1024")
    try:
        client.images.generate(prompt="x", model="imagen-4")
        raise AssertionError("an unknown model was taken")
    except NotFoundError as error:
        assert error.code == "model_not_found" and "starter" in error.message
    try:
        client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "a fox"}])
        raise AssertionError("chat was taken")
    except NotFoundError as error:
        assert "POST /v1/images/generations" in error.message and "/openapi.json" in error.message
    try:
        client.images.create_variation(image=("cat.png", b""))
        raise AssertionError("a variation was taken")
    except NotFoundError as error:
        assert "POST /v1/images/edits" in error.message


ready()
failed = 0
checks = [models, retrieval, names, defaults, pictures, addresses, events, edits, errors]
for check in checks:
    try:
        check()
        print("ok   ", check.__name__)
    except Exception:
        failed += 1
        print("FAIL ", check.__name__)
        traceback.print_exc()
server.terminate()
assert server.wait(timeout=30) == 0
print(f"{len(checks) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
