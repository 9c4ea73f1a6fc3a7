"""The live stream's parts, interleaved in one run: python Scripts/benchmarks/live.py [--model FOLDER] [--size PIXELS] [--frames 300]

Needs a release build and ffmpeg. Each way is `streamflow video` over the same generated clip: one at a time is one row a
run, one image decoded at a time, encoding, ticks and decoding in sequence; the others add to it one by one.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

arguments = argparse.ArgumentParser()
arguments.add_argument("--model", default="starter")
arguments.add_argument("--vae")
arguments.add_argument("--size", type=int, help="the width and height (default: the model's own width)")
arguments.add_argument("--frames", type=int, default=300)
arguments.add_argument("--steps", type=int, default=4)
arguments.add_argument("--rounds", type=int, default=5)
arguments.add_argument("--precision", default="f32")
o = arguments.parse_args()

STREAMFLOW = ROOT / ".build/release/streamflow"
if o.size is None:
    report = subprocess.run([STREAMFLOW, "inspect", o.model, "--json"], check=True, capture_output=True, text=True)
    o.size = json.loads(report.stdout)["width"]

n = str(o.steps)
ONE = ["--batch-size", "1", "--decode-batch", "1", "--overlap", "off"]
WAYS = {
    "one at a time": ONE,
    f"batch size {n}": ["--batch-size", n, "--decode-batch", "1", "--overlap", "off"],
    "overlap": ["--batch-size", "1", "--decode-batch", "1", "--overlap", "on"],
    f"batch size {n}, overlap": ["--batch-size", n, "--decode-batch", "1", "--overlap", "on"],
    f"batch size {n}, decode 4": ["--batch-size", n, "--decode-batch", "4", "--overlap", "off"],
    "stages auto (the default)": [],
}


def run(way, frames=o.frames):
    with tempfile.TemporaryDirectory() as folder:
        command = [
            STREAMFLOW, "video", "lavfi:testsrc2=size=320x240:rate=30", "a fox on a blue background",
            "--model", o.model, "--width", str(o.size), "--height", str(o.size), "--steps", n, "--guidance", "none",
            "--precision", o.precision, "--seed", "1", "--duration", str(frames / 30), "--output", f"{folder}/out.mkv", "--json", *way,
        ]
        if o.vae:
            command += ["--vae", o.vae]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        return json.loads(done.stdout)


for way in WAYS.values():
    run(way, frames=2)  # engines compiled and kept, rows measured
results = {name: [] for name in WAYS}
for _ in range(o.rounds):
    for name, way in WAYS.items():
        results[name].append(run(way))
base = statistics.median(r["frames_per_second"] for r in results["one at a time"])
print(f"{o.model}, {o.size} px, {o.precision}, {n} steps, {o.frames} frames, {o.rounds} interleaved rounds")
print("| configuration | images/s | spread | speedup | latency p50, p95 ms | gap median, longest ms |\n|---|---|---|---|---|---|")
for name, rounds in results.items():
    rates = sorted(r["frames_per_second"] for r in rounds)
    middle = statistics.median(rates)
    latency = [statistics.median(r["latency"][k] for r in rounds) * 1000 for k in ["p50", "p95"]]
    gaps = [statistics.median(r[k] for r in rounds) * 1000 for k in ["median_tick_gap", "longest_tick_gap"]]
    rows = f" ({rounds[0]['rows']} rows)" if "auto" in name else ""
    print(f"| {name}{rows} | {middle:.1f} | {rates[0]:.1f} to {rates[-1]:.1f} | {middle / base:.2f} | "
          f"{latency[0]:.0f}, {latency[1]:.0f} | {gaps[0]:.0f}, {gaps[1]:.0f} |")
