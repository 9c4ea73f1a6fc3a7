"""What a fleet survives, with real processes: nats-server, a gateway and workers of the starter.

Run with the built command and a Python that has nats-py (the official client, an independent reader):

    python Scripts/cluster/failures.py --streamflow .build/release/streamflow [--images 200]

Each case prints a line with what it measured; the first that fails ends the run.
"""

import argparse
import asyncio
import hashlib
import json
import os
import pathlib
import signal
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import nats
from nats.js.api import ObjectMeta

ACKNOWLEDGEMENT_SECONDS = 3


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check(condition, words):
    if not condition:
        raise SystemExit(f"FAILED: {words}")


class Fleet:
    """A server of NATS, a gateway and workers, which end with this object."""

    def __init__(self, streamflow, queue=10_000, state=False):
        self.streamflow = streamflow
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="streamflow-fleet-"))
        self.nats_port, self.port = free_port(), free_port()
        self.queue, self.state = queue, state
        self.workers = {}
        self.logs = []
        self.start_nats()
        self.start_gateway()

    @property
    def url(self):
        return f"nats://127.0.0.1:{self.nats_port}"

    def log(self, name):
        log = open(self.folder / f"{name}.log", "ab")
        self.logs.append(log)
        return log

    def start_nats(self):
        path = shutil.which("nats-server") or "/usr/sbin/nats-server"
        self.nats = subprocess.Popen(
            [path, "-a", "127.0.0.1", "-p", str(self.nats_port), "-js",
             "-sd", str(self.folder / "store")],
            stdout=self.log("nats"), stderr=subprocess.STDOUT)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.nats_port)) == 0:
                    return
            time.sleep(0.02)
        raise SystemExit("nats-server did not start")

    def cluster(self):
        return ["--cluster", self.url, "--cluster-ack-wait", str(ACKNOWLEDGEMENT_SECONDS),
                "--cluster-queue", str(self.queue)]

    def start_gateway(self):
        state = ["--state", str(self.folder / "state")] if self.state else []
        self.gateway = subprocess.Popen(
            [self.streamflow, "serve", "--port", str(self.port), "--grace", "2", *self.cluster(), *state],
            stdout=self.log("gateway"), stderr=subprocess.STDOUT)
        for _ in range(500):
            try:
                return self.ask("GET", "/healthz")
            except OSError:
                check(self.gateway.poll() is None, (self.folder / "gateway.log").read_text())
                time.sleep(0.02)
        raise SystemExit("the gateway did not start")

    def add(self, name, *options, wait=True):
        self.workers[name] = subprocess.Popen(
            [self.streamflow, "worker", "--name", name, "--grace", "5", *self.cluster(), *options],
            stdout=self.log(name), stderr=subprocess.STDOUT)
        if wait:
            self.until(lambda: any(w["name"] == name for w in self.status()["workers"]), 60)

    def ask(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"} if body is not None else {})
        with urllib.request.urlopen(request, timeout=120) as answer:
            data = answer.read()
            kind = answer.headers.get("Content-Type", "")
            return json.loads(data) if "json" in kind else data

    def status(self):
        return self.ask("GET", "/v1/status")

    def job(self, **fields):
        return self.ask("POST", "/v1/jobs", fields)["id"]

    def progress(self, job):
        return self.ask("GET", f"/v1/jobs/{job}")

    def until(self, condition, seconds, pause=0.05):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(pause)
        raise SystemExit(f"FAILED: nothing happened within {seconds} s; logs in {self.folder}")

    def finish(self, job, seconds=300):
        self.until(lambda: self.progress(job)["status"] in ("done", "failed", "cancelled"), seconds)
        return self.progress(job)

    def images(self, job, count):
        return [self.ask("GET", f"/v1/jobs/{job}/images/{index}") for index in range(count)]

    def close(self):
        for process in [*self.workers.values(), self.gateway, self.nats]:
            if process.poll() is None:
                process.kill()
            process.wait()
        for log in self.logs:
            log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def connect(self):
        return await nats.connect(self.url)


def reference(streamflow, count, folder):
    """The files of one process, by their order."""
    subprocess.run(
        [streamflow, "generate", "a fox", "--count", str(count), "--seed", "7", "--output", folder,
         "--quiet"], check=True)
    return [path.read_bytes() for path in sorted(pathlib.Path(folder).glob("*.png"))]


async def result_count(fleet):
    client = await fleet.connect()
    info = await client.jetstream().stream_info("RESULTS")
    jobs = await client.jetstream().stream_info("JOBS")
    await client.close()
    return info.state.messages, jobs.state.messages


def killed_worker(fleet, expected):
    count = len(expected)
    fleet.add("one")
    fleet.add("two")
    start = time.monotonic()
    job = fleet.job(prompt="a fox", n=count, seed=7)
    # In the middle, while it holds images.
    fleet.until(lambda: fleet.progress(job)["done"] >= count // 4, 120, 0.01)
    fleet.workers["one"].kill()
    killed = time.monotonic()
    report = fleet.finish(job)
    end = time.monotonic()
    check(report["done"] == count and report["failed"] == 0, report)
    images = fleet.images(job, count)
    check(images == expected, "an image differs from the one that a single process makes")
    results, left = asyncio.run(result_count(fleet))
    check(results == count, f"{results} results of {count} images")
    check(left == 0, f"{left} jobs are still in the queue")
    again = sum(w["redelivered"] for w in fleet.status()["workers"])
    print(f"kill -9 of one of two workers: {count} images, {results} results, byte for byte those of "
          f"one process; {again} handed out again; {end - start:.1f} s, {end - killed:.1f} s after the "
          f"kill (acknowledgement time {ACKNOWLEDGEMENT_SECONDS} s)")


def killed_server(fleet, expected):
    count = len(expected)
    job = fleet.job(prompt="a fox", n=count, seed=7)
    fleet.until(lambda: fleet.progress(job)["done"] >= count // 4, 120, 0.01)
    fleet.nats.kill()
    fleet.nats.wait()
    time.sleep(1)
    fleet.start_nats()
    back = time.monotonic()
    report = fleet.finish(job)
    check(report["done"] == count and report["failed"] == 0, report)
    check(fleet.images(job, count) == expected, "an image differs")
    print(f"nats-server killed for 1 s in the middle: {count} images, none lost, "
          f"{time.monotonic() - back:.1f} s after its return")


def cancelled(fleet):
    job = fleet.job(prompt="a fox", n=500, steps=50)
    fleet.until(lambda: any(w["busy"] for w in fleet.status()["workers"]), 30)
    start = time.monotonic()
    fleet.ask("DELETE", f"/v1/jobs/{job}")
    fleet.until(lambda: asyncio.run(result_count(fleet))[1] == 0, 60)
    print(f"500 images cancelled: the queue is empty and the workers are free after "
          f"{time.monotonic() - start:.1f} s")


def poison(fleet):
    for process in fleet.workers.values():
        process.terminate()
        process.wait()
    fleet.until(lambda: not fleet.status()["workers"], 30)
    job = fleet.job(prompt="a fox", n=1, steps=100, size="512x512")
    start = time.monotonic()
    for number in range(3):
        name = f"victim-{number}"
        fleet.add(name)
        fleet.until(
            lambda: any(w["name"] == name and w["busy"] for w in fleet.status()["workers"]), 60)
        fleet.workers[name].kill()
    fleet.add("survivor")
    report = fleet.finish(job, 60)
    check(report["status"] == "failed", report)
    check(report["error"]["code"] == "workers_failed", report)
    check(asyncio.run(result_count(fleet))[1] == 0, "it is still in the queue")
    survivor = fleet.job(prompt="a fox", n=4, seed=7)
    check(fleet.finish(survivor)["done"] == 4, "the next job fails")
    print(f"an image at which three workers were killed: failed as workers_failed after "
          f"{time.monotonic() - start:.1f} s, its place is free, the next job is made")


def full_queue(streamflow):
    fleet = Fleet(streamflow, queue=20)
    try:
        fleet.add("one", "--images", "1")
        job = fleet.job(prompt="a fox", n=60, steps=20)
        fleet.until(lambda: asyncio.run(result_count(fleet))[1] >= 19, 30)
        try:
            fleet.ask("POST", "/v1/images/generations", {"prompt": "a fox", "n": 4})
            raise SystemExit("FAILED: a full queue took more")
        except urllib.error.HTTPError as error:
            body = json.loads(error.read())
            wait = error.headers["Retry-After"]
            check(error.code == 429 and int(wait) >= 1, body)
            check(body["error"]["code"] == "queue_full", body)
        check(fleet.finish(job)["done"] == 60, "the job that filled it is not made")
        print(f"full queue: 429 with Retry-After {wait} s; the job of 60 images that filled a queue "
              "of 20 is made")
    finally:
        fleet.close()


def killed_gateway(streamflow, expected):
    count = len(expected)
    fleet = Fleet(streamflow, state=True)
    try:
        fleet.add("one")
        job = fleet.job(prompt="a fox", n=count, seed=7)
        fleet.until(lambda: fleet.progress(job)["done"] >= count // 4, 120, 0.01)
        fleet.gateway.kill()
        fleet.gateway.wait()
        fleet.start_gateway()
        report = fleet.finish(job)
        check(report["done"] == count, report)
        check(fleet.images(job, count) == expected, "an image differs")
        print(f"kill -9 of the gateway with --state: its job of {count} images continues to the same bytes")
    finally:
        fleet.close()


async def official_client(fleet):
    """The official client queues a job with an input image, and reads the result's file."""
    client = await fleet.connect()
    stream = client.jetstream()
    store = await stream.object_store("images")
    photo = fleet.ask("POST", "/v1/images/generations", {"prompt": "a fox", "seed": 1})
    import base64
    source = base64.b64decode(photo["data"][0]["b64_json"])
    await store.put("inputs/PYTHON", source)
    request = {
        "order": {"model": "starter", "prompts": ["an octopus"], "n": 1, "sampling": {"seed": 3},
                  "encoding": {"png": {}}, "warnings": [], "stream": False, "partial_images": 0,
                  "response_format": "b64_json"},
        "source": {"strength": 0.7, "fit": "cover", "background": [0, 0, 0]}}
    job = {"v": 1, "id": "PYTHON-0", "order": "PYTHON", "jobClass": "silver", "model": "starter",
           "client": "python", "submitted": time.time(), "request": json.dumps(request),
           "requestVersion": 1, "input": "inputs/PYTHON"}
    lane = 0
    value = 0xCBF29CE484222325
    for byte in b"python":
        value = (value ^ byte) * 0x100000001B3 % 2**64
    lane = value % 8
    subscription = await client.subscribe("results.PYTHON-0")
    await stream.publish(f"jobs.silver.starter.{lane}.PYTHON-0", json.dumps(job).encode())
    result = json.loads((await subscription.next_msg(timeout=30)).data)
    check(result["status"] == "done", result)
    found = await store.get(result["picture"]["object"])
    check(hashlib.sha256(found.data).hexdigest() == result["picture"]["sha256"], "another hash")
    check(found.data.startswith(b"\x89PNG"), "no PNG")
    await client.close()
    print(f"the official Python client stored an input image, queued a job and read the result's file "
          f"({len(found.data)} bytes, the hash is that of the result)")


def speed(fleet, streamflow, count):
    def timed(port):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/jobs", method="POST",
            data=json.dumps({"prompt": "a fox", "n": count, "steps": 4, "seed": 1}).encode(),
            headers={"Content-Type": "application/json"})
        start = time.monotonic()
        job = json.loads(urllib.request.urlopen(request).read())["id"]
        while True:
            report = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/jobs/{job}").read())
            if report["status"] == "done":
                return count / (time.monotonic() - start)
            time.sleep(0.02)

    def delay(port):
        times = []
        for seed in range(20):
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/images/generations", method="POST",
                data=json.dumps({"prompt": "a fox", "steps": 1, "seed": seed}).encode(),
                headers={"Content-Type": "application/json"})
            start = time.monotonic()
            urllib.request.urlopen(request).read()
            times.append(time.monotonic() - start)
        return sorted(times)[len(times) // 2] * 1000

    port = free_port()
    alone = subprocess.Popen(
        [streamflow, "serve", "--port", str(port)], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").read()
                break
            except OSError:
                time.sleep(0.05)
        timed(port)
        timed(fleet.port)
        pairs = [(timed(port), timed(fleet.port)) for _ in range(3)]
        one, many = (sorted(values)[1] for values in zip(*pairs))
        print(f"one process {one:.1f} images/s, gateway and one worker {many:.1f} ({many / one:.2f} "
              f"times; medians of 3, alternating); one image of one step {delay(port):.0f} ms and "
              f"{delay(fleet.port):.0f} ms (median of 20)")
    finally:
        alone.kill()
        alone.wait()


def main():
    # Images are compared byte for byte with those of other batches, which float32 allows.
    os.environ["STREAMFLOW_PRECISION"] = "f32"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streamflow", default=".build/release/streamflow")
    parser.add_argument("--images", type=int, default=200)
    arguments = parser.parse_args()
    streamflow = str(pathlib.Path(arguments.streamflow).resolve())
    with tempfile.TemporaryDirectory() as folder:
        expected = reference(streamflow, arguments.images, folder)
    fleet = Fleet(streamflow)
    try:
        killed_worker(fleet, expected)
        killed_server(fleet, expected)
        asyncio.run(official_client(fleet))
        speed(fleet, streamflow, arguments.images)
        cancelled(fleet)
        poison(fleet)
    finally:
        fleet.close()
    full_queue(streamflow)
    killed_gateway(streamflow, expected)


if __name__ == "__main__":
    main()
