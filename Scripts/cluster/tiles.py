"""How long a large image takes with one worker and with two that upscale it together, and what a killed helper costs.

    python Scripts/cluster/tiles.py [--streamflow .build/release/streamflow] [--size 512] [--rounds 3]

Real processes: nats-server (Scripts/setup.sh --nats), two gateways, workers of one core each with an upscaler of the layout of
realesr-general-x4v3 and seeded weights. Needs a Linux machine with two cores or more, and nats-py, numpy and Pillow.
"""

import argparse
import base64
import io
import json
import pathlib
import signal
import statistics
import struct
import tempfile
import threading
import time

import numpy
from PIL import Image

from failures import Fleet, check


def upscaler(path, features=64, count=34, factor=4):
    """A SRVGGNetCompact: convolutions with a PReLU after each but the last."""
    random = numpy.random.default_rng(7)
    tensors = {}
    for index in range(count):
        inputs, outputs = (3 if index == 0 else features), (3 * factor**2 if index == count - 1 else features)
        gain = 0.1 if index == count - 1 else 1
        tensors[f"body.{2 * index}.weight"] = random.normal(0, gain / (3 * inputs**0.5), (outputs, inputs, 3, 3))
        tensors[f"body.{2 * index}.bias"] = random.normal(0, 0.01, outputs)
        if index < count - 1:
            tensors[f"body.{2 * index + 1}.weight"] = random.uniform(0.1, 0.3, features)
    header, data = {}, b""
    for name, values in tensors.items():
        values = values.astype("<f4").tobytes()
        header[name] = dict(
            dtype="F32", shape=list(tensors[name].shape), data_offsets=[len(data), len(data) + len(values)])
        data += values
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def image(fleet, size, seed):
    """A large image, and the seconds that it took."""
    start = time.monotonic()
    answer = fleet.ask("POST", "/v1/images/generations", dict(
        prompt="a fox", size=f"{size}x{size}", steps=1, seed=seed, upscale=4, response_format="b64_json"))
    seconds = time.monotonic() - start
    file = base64.b64decode(answer["data"][0]["b64_json"])
    return numpy.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streamflow", default=".build/release/streamflow")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    streamflow = str(pathlib.Path(options.streamflow).resolve())
    with tempfile.TemporaryDirectory() as folder:
        file = str(upscaler(pathlib.Path(folder) / "seeded.safetensors"))
        fleets = {count: Fleet(streamflow) for count in (1, 2)}
        try:
            for count, fleet in fleets.items():
                for number in range(count):
                    fleet.add(f"worker-{number}", "--device", f"cpu:{number}", "--upscaler", file, "--precision", "f32")
                image(fleet, options.size, 0)
            seconds = {count: [] for count in fleets}
            for seed in range(1, options.rounds + 1):
                made = {}
                for count, fleet in fleets.items():
                    made[count], time_taken = image(fleet, options.size, seed)
                    seconds[count].append(time_taken)
                difference = abs(made[1] - made[2])
                check(made[1].shape == (4 * options.size, 4 * options.size, 3), made[1].shape)
                check(difference.max() <= 1, f"the images differ by {difference.max()}")
                print(f"seed {seed}: {(difference > 0).mean():.6f} of the values differ, by {difference.max()} at most")
            for count, taken in seconds.items():
                print(f"{count} of one core: {statistics.median(taken):.2f} s ({min(taken):.2f} to {max(taken):.2f})")

            # The worker that gets the order is the one that is busy, as of its report every other second; the other helps.
            fleet = fleets[2]
            fleet.until(lambda: not any(worker["busy"] for worker in fleet.status()["workers"]), 10)
            found = {}
            asking = threading.Thread(target=lambda: found.update(result=image(fleet, options.size, 1)))
            asking.start()
            fleet.until(lambda: any(worker["busy"] for worker in fleet.status()["workers"]), 10, pause=0.02)
            busy = [worker["name"] for worker in fleet.status()["workers"] if worker["busy"]]
            helper = next(name for name in fleet.workers if name not in busy)
            fleet.workers[helper].send_signal(signal.SIGKILL)
            asking.join()
            killed, taken = found["result"]
            check(abs(killed - image(fleets[1], options.size, 1)[0]).max() <= 1, "the image without its helper differs")
            print(f"the helper was killed: {taken:.2f} s, the same image")
        finally:
            for fleet in fleets.values():
                fleet.close()


if __name__ == "__main__":
    main()
