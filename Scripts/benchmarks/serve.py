"""The server under load, beside `streamflow generate` in one run: python Scripts/benchmarks/serve.py [--seconds 60]

Needs a release build; nothing but Python's standard library. Three measures: images a second of 64 clients that each ask for
one image after another, against `streamflow generate` before and after; the delay of one image when the server is
idle; and that delay while a job of 1,000 images runs.
"""

import argparse
import collections
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
STREAMFLOW = ROOT / ".build/release/streamflow"

arguments = argparse.ArgumentParser()
arguments.add_argument("--model", default="starter")
arguments.add_argument("--clients", type=int, default=64)
arguments.add_argument("--seconds", type=float, default=60)
arguments.add_argument("--steps", type=int, default=4)
o = arguments.parse_args()


def generate():
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [STREAMFLOW, "generate", "a fox on a blue background", "--model", o.model, "--count", "256", "--steps", str(o.steps),
             "--guidance", "none", "--batch-size", "16", "--output", folder, "--json"], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)["images_per_second"]


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def picture(port, seed):
    start = time.perf_counter()
    status, _ = ask(port, "POST", "/v1/images/generations", {
        "prompt": "a fox on a blue background", "seed": seed, "steps": o.steps, "guidance": "none", "user": f"client {seed % 1000}"})
    return status, time.perf_counter() - start


def percentile(times, part):
    return sorted(times)[min(int(len(times) * part), len(times) - 1)]


def load(port):
    statuses, times, end = collections.Counter(), [], time.time() + o.seconds

    def client(number):
        seed = number
        while time.time() < end:
            status, seconds = picture(port, seed)
            statuses[status] += 1
            times.append(seconds)
            seed += 1000
            if status == 429:
                time.sleep(1)

    threads = [threading.Thread(target=client, args=[n]) for n in range(o.clients)]
    start = time.time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses, times, statuses[200] / (time.time() - start)


def memory(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0


server = subprocess.Popen(
    [STREAMFLOW, "serve", "--port", "0", "--model", o.model, "--log-level", "error"], stderr=subprocess.PIPE, text=True)
try:
    port = next(int(line.rsplit(":", 1)[1]) for line in server.stderr if line.startswith("listening on"))
    threading.Thread(target=lambda: [sys.stderr.write(line) for line in server.stderr], daemon=True).start()
    while ask(port, "GET", "/readyz")[0] != 200:
        time.sleep(0.1)
    for seed in range(20):
        picture(port, seed)
    idle = [picture(port, seed)[1] for seed in range(100)]
    before = generate()
    start = memory(server.pid)
    statuses, times, rate = load(port)
    end = memory(server.pid)
    after = generate()
    plain = statistics.mean([before, after])
    print(f"{o.clients} clients for {o.seconds:.0f} s: {rate:.1f} pictures/s, {rate / plain:.0%} of generate's {plain:.1f} "
          f"({before:.1f} before, {after:.1f} after); statuses {dict(statuses)}; delay p50 {percentile(times, .5):.2f} s, "
          f"p99 {percentile(times, .99):.2f} s; memory {start:.0f} to {end:.0f} MB")
    _, job = ask(port, "POST", "/v1/jobs", {
        "prompt": "a rocket", "n": 1000, "steps": o.steps, "guidance": "none", "user": "job"})
    path = f"/v1/jobs/{json.loads(job)['id']}"
    while json.loads(ask(port, "GET", path)[1])["done"] < 8:
        time.sleep(0.05)
    busy, spent = [], time.time()
    while json.loads(ask(port, "GET", path)[1])["status"] == "running" and len(busy) < 200:
        busy.append(picture(port, 5000 + len(busy))[1])
        time.sleep(0.05)
    done = json.loads(ask(port, "GET", path)[1])["done"]
    spent = time.time() - spent
    ask(port, "DELETE", path)
    print(f"one picture: idle p50 {percentile(idle, .5) * 1000:.0f} ms, p99 {percentile(idle, .99) * 1000:.0f} ms; while a job of "
          f"1,000 runs ({len(busy)} asked) p50 {percentile(busy, .5) * 1000:.0f} ms, p99 {percentile(busy, .99) * 1000:.0f} ms: "
          f"{percentile(busy, .99) / percentile(idle, .99):.1f} times the idle p99; the job made {done / spent:.1f} a second beside it")
finally:
    server.terminate()
    print("stopped with", server.wait(timeout=30))
