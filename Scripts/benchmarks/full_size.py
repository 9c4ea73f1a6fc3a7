"""Full-size Stable Diffusion 1.5 on this machine: how near to what it can do, and how much memory.

    python Scripts/benchmarks/full_size.py FOLDER [--sizes 512 256 128] [--rounds 3]

FOLDER is a Stable Diffusion 1.5 in diffusers' layout with vae_tiny/; the weights may be random. Each round
measures the machine's own SGEMM rate (PyTorch, 2048 by 2048 by 2048, median) right before and after each run
of `streamflow`, and gives the engine's rate as a share of the mean of the two. The operations of a run are
counted from the graph (convolutions and matrix products), and stand in the command's JSON report.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import threading
import time

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = ROOT / ".build/release/streamflow"


def sgemm(size=2048, runs=12):
    """GFLOP/s of single-precision matrix products."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        torch.mm(a, b)
        times.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(times[2:]) / 1e9


def memory(process, peak):
    """Follows a process's memory in GB: anonymous, file-backed, both."""
    while process.poll() is None:
        try:
            text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            return
        for key in ["RssAnon", "RssFile", "VmRSS"]:
            if found := re.search(rf"{key}:\s+(\d+) kB", text):
                peak[key] = max(peak.get(key, 0), int(found[1]) / 1e6)
        time.sleep(0.02)


def run(folder, size, cache, output, steps=4):
    """One image: the report, with the wall time and the peaks of memory."""
    command = [
        COMMAND, "generate", "a castle on a hill", "--model", folder, "--vae", "tiny", "--schedule", "perflow",
        "--guidance-scale", "1", "--precision", "f32", "--batch-size", "1", "--steps", str(steps), "--seed", "1", "--width", str(size),
        "--height", str(size), "--output", output, "--overwrite", "--json"]
    peak, start = {}, time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "STREAMFLOW_CACHE": cache})
    watcher = threading.Thread(target=memory, args=(process, peak))
    watcher.start()
    text, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"streamflow failed with {process.returncode}")
    return json.loads(text) | dict(wall=time.perf_counter() - start, peak=peak)


def line(report, rate):
    unet = next(engine for engine in report["engines"] if re.match(r"unet_\d", engine["name"]))
    achieved = unet["gigaflop"] * report["ticks"] / report["engine_seconds"]
    engines = report["engine_seconds"] + report["decode_seconds"]
    return dict(
        share=achieved / rate, gflops=achieved, sgemm=rate, tick=report["engine_seconds"] / report["ticks"],
        overhead=report["seconds"] / engines, decode=report["decode_seconds"])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder")
    arguments.add_argument("--sizes", type=int, nargs="+", default=[512, 256, 128])
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    torch.set_num_threads(os.cpu_count())
    with tempfile.TemporaryDirectory(dir=pathlib.Path.home()) as scratch:
        for size in options.sizes:
            cache, output = f"{scratch}/cache-{size}", f"{scratch}/picture.png"
            cold = run(options.folder, size, cache, output)
            print(f"{size} px cold: engines ready in {cold['prepare_seconds']:.1f} s, first picture after "
                  f"{cold['prepare_seconds'] + cold['seconds']:.1f} s, peak GB " +
                  ", ".join(f"{key} {value:.2f}" for key, value in sorted(cold["peak"].items())))
            lines = []
            for _ in range(options.rounds):
                before = sgemm()
                report = run(options.folder, size, cache, output)
                lines.append(line(report, (before + sgemm()) / 2))
            middle = {key: statistics.median(item[key] for item in lines) for key in lines[0]}
            spread = sorted(item["share"] for item in lines)
            print(f"{size} px warm: engines ready in {report['prepare_seconds']:.1f} s, peak GB " +
                  ", ".join(f"{key} {value:.2f}" for key, value in sorted(report["peak"].items())))
            print(f"{size} px: velocity engine {middle['gflops']:.0f} GFLOP/s of SGEMM's {middle['sgemm']:.0f}: "
                  f"{middle['share']:.0%} ({spread[0]:.0%} to {spread[-1]:.0%}); {middle['tick']:.2f} s a row, "
                  f"decode {middle['decode']:.2f} s; the run took {middle['overhead']:.3f} of its engines' time",
                  flush=True)
            subprocess.run(["rm", "-rf", cache], check=True)


if __name__ == "__main__":
    main()
