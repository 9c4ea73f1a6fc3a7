"""Images per second of devices in one process and of workers around a real nats-server, on one machine.

    python Scripts/benchmarks/fleet.py [--streamflow .build/release/streamflow] [--images 256] [--rounds 3]

Compares one device of one thread, two devices of one core each, one device of two threads, and a gateway with 1, 2 and 4
workers of one core each, all with the starter at 4 steps, interleaved. Workers make a first job before they
are timed; `generate` reports its rate without its start.
Needs a Linux machine with two cores or more, nats-server (Scripts/setup.sh --nats), and nats-py for the fleet's own script.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cluster"))
from failures import Fleet

DEVICES = {
    "one device, one thread": ["--device", "cpu:0"],
    "two devices of one core": ["--device", "cpu:0,cpu:1"],
    "one device, two threads": ["--threads", "2"],
}


def in_one_process(streamflow, options, count, precision):
    """Images per second of `generate`, by its own clock, without start and preparation."""
    with tempfile.TemporaryDirectory() as folder:
        output = subprocess.run(
            [streamflow, "generate", "a fox", "--count", str(count), "--steps", "4", "--seed", "1", "--output", folder,
             "--precision", precision, "--json", *options], check=True, capture_output=True, text=True).stdout
    return json.loads(output)["images_per_second"]


def in_a_fleet(fleet, count):
    start = time.monotonic()
    report = fleet.finish(fleet.job(prompt="a fox", n=count, steps=4, seed=1))
    if report["status"] != "done" or report["done"] != count:
        raise SystemExit(f"the job ended otherwise: {report}")
    return count / (time.monotonic() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streamflow", default=".build/release/streamflow")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="f32")
    options = parser.parse_args()
    streamflow = str(pathlib.Path(options.streamflow).resolve())
    cores = os.cpu_count()
    fleets = {}
    try:
        for workers in (1, 2, 4):
            fleet = fleets[f"gateway, {workers} {'worker' if workers == 1 else 'workers'} of one core"] = Fleet(streamflow)
            for number in range(workers):
                fleet.add(f"worker-{number}", "--device", f"cpu:{number % cores}", "--precision", options.precision)
            in_a_fleet(fleet, 32 * workers)
        found = {}
        for _ in range(options.rounds):
            for name, device in DEVICES.items():
                rate = in_one_process(streamflow, device, options.images, options.precision)
                found.setdefault(name, []).append(rate)
            for name, fleet in fleets.items():
                found.setdefault(name, []).append(in_a_fleet(fleet, options.images))
    finally:
        for fleet in fleets.values():
            fleet.close()
    print("| | images/s | range |\n|---|---|---|")
    for name, rates in found.items():
        print(f"| {name} | {statistics.median(rates):.1f} | {min(rates):.1f} to {max(rates):.1f} |")


if __name__ == "__main__":
    main()
