"""A full-size transformer in one process: seconds a row, peak memory, and the share of the machine's matrix rate.

    python Scripts/benchmarks/full_size_transformer.py FOLDER [--sizes 256 512] [--weights int8] [--rows 1] [--steps 2]

FOLDER is a model in diffusers' layout, such as checkpoints.py writes; weights may be random. The rate is that of
PyTorch's single-precision products (2048 cubed), measured right before and after each run.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time

import torch

from full_size import COMMAND, memory, sgemm


def run(folder, size, weights, rows, steps, cache, output):
    command = [
        COMMAND, "generate", *["a castle on a hill"] * rows, "--model", folder, "--steps", str(steps), "--seed", "1",
        "--width", str(size), "--height", str(size), "--guidance-scale", "1", "--batch-size", str(rows), "--precision", "f32", "--weights", weights, "--output", output,
        "--overwrite", "--json"]
    peak, start = {}, time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "STREAMFLOW_CACHE": cache})
    watcher = threading.Thread(target=memory, args=(process, peak))
    watcher.start()
    text, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"streamflow failed with {process.returncode}")
    return json.loads(text) | dict(wall=time.perf_counter() - start, peak=peak)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder")
    arguments.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    arguments.add_argument("--weights", default="int8")
    arguments.add_argument("--rows", type=int, nargs="+", default=[1])
    arguments.add_argument("--steps", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(os.cpu_count())
    with tempfile.TemporaryDirectory(dir=pathlib.Path.home()) as scratch:
        for size in options.sizes:
            for rows in options.rows:
                before = sgemm()
                report = run(
                    options.folder, size, options.weights, rows, options.steps, f"{scratch}/cache", f"{scratch}/images")
                rate = (before + sgemm()) / 2
                networks = [engine for engine in report["engines"] if "gigaflop" in engine]
                network = max(networks, key=lambda engine: engine["gigaflop"])
                print(json.dumps(dict(
                    size=size, weights=options.weights, rows=rows, tick=report["engine_seconds"] / report["ticks"],
                    gigaflop=network["gigaflop"], gflops=network["gigaflop"] * report["ticks"] / report["engine_seconds"],
                    sgemm=rate, ready=report["prepare_seconds"], decode=report["decode_seconds"], wall=report["wall"],
                    peak={key: round(value, 2) for key, value in report["peak"].items()})), flush=True)


main()
