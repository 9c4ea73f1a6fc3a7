"""Live streams through a gateway, with real processes: nats-server, a gateway and two workers of the starter.

Run with the built command and a Python that has nats-py and websockets (an independent client):

    python Scripts/cluster/live.py --streamflow .build/release/streamflow [--frames 100]

Prints the latency of a frame at a single server and through a gateway, interleaved, and what happens to two
streams when the worker of one is killed.
"""

import argparse
import base64
import contextlib
import json
import pathlib
import statistics
import subprocess
import time
import urllib.error
import urllib.request

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from failures import Fleet, check, free_port


def ask(port, method, path, body=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Content-Type": "application/json"} if body is not None else {})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read() or b"null")


class Stream:
    """A live stream with a WebSocket."""

    def __init__(self, port):
        self.port = port
        self.id = ask(port, "POST", "/v1/streams", {"prompt": "a fox", "steps": 1, "stages": 2})["id"]
        self.stack = contextlib.ExitStack()
        self.socket = self.stack.enter_context(
            connect(f"ws://127.0.0.1:{port}/v1/streams/{self.id}/socket", max_size=None))

    def make(self, frame):
        """The milliseconds until the image of a frame is there."""
        start = time.monotonic()
        self.socket.send(frame)
        while isinstance(self.socket.recv(timeout=60), str):
            pass
        return 1000 * (time.monotonic() - start)

    def close(self):
        self.stack.close()
        ask(self.port, "DELETE", f"/v1/streams/{self.id}")


def frames(port, count):
    """Images that the server generates, as JPEG files."""
    answer = ask(port, "POST", "/v1/images/generations",
                 {"prompt": "a cat", "n": min(count, 16), "output_format": "jpeg"})
    return [base64.b64decode(item["b64_json"]) for item in answer["data"]]


def latency(alone, gateway, count):
    pictures = frames(alone, count)
    times = {alone: [], gateway: []}
    streams = [Stream(port) for port in times]
    for number in range(count):
        for stream in streams:
            times[stream.port].append(stream.make(pictures[number % len(pictures)]))
    for stream in streams:
        stream.close()
    direct, relayed = (statistics.median(times[port][5:]) for port in (alone, gateway))
    print(f"latency of a frame of one step: {direct:.1f} ms at a single server, {relayed:.1f} ms through a gateway "
          f"({relayed - direct:+.1f} ms; medians of {count - 5} frames, interleaved)")


def ending(fleet):
    first, second = Stream(fleet.port), Stream(fleet.port)
    check(first.id.split(".")[1] != second.id.split(".")[1], "both streams are at one worker")
    picture = frames(fleet.port, 1)[0]
    for stream in (first, second):
        stream.make(picture)
    worker = base64.urlsafe_b64decode(first.id.split(".")[1] + "==").decode()
    fleet.workers[worker].kill()
    start = time.monotonic()
    try:
        while True:
            first.socket.recv(timeout=30)
    except ConnectionClosed as closed:
        code = closed.rcvd.code if closed.rcvd else None
    check(code == 1001, f"the socket was closed with {code}")
    took = 1000 * (time.monotonic() - start)
    try:
        ask(fleet.port, "GET", f"/v1/streams/{first.id}")
        raise SystemExit("FAILED: a stream of a killed worker answers")
    except urllib.error.HTTPError as error:
        check(error.code in (404, 502), error.code)
        status = error.code
    second.make(picture)
    again = Stream(fleet.port)
    check(again.id.split(".")[1] == second.id.split(".")[1], "it was opened at a worker that is not there")
    again.make(picture)
    print(f"kill -9 of a stream's worker: its socket ends with 1001 after {took:.0f} ms, requests get {status}, "
          "the other worker's stream continues, and a new one opens there")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streamflow", default=".build/release/streamflow")
    parser.add_argument("--frames", type=int, default=100)
    arguments = parser.parse_args()
    streamflow = str(pathlib.Path(arguments.streamflow).resolve())
    fleet = Fleet(streamflow)
    port = free_port()
    alone = subprocess.Popen([streamflow, "serve", "--port", str(port)], stderr=subprocess.DEVNULL)
    try:
        fleet.add("first")
        while True:
            try:
                ask(port, "GET", "/v1/models")
                break
            except OSError:
                time.sleep(0.05)
        latency(port, fleet.port, arguments.frames)
        fleet.add("second worker")
        ending(fleet)
    finally:
        alone.kill()
        alone.wait()
        fleet.close()


if __name__ == "__main__":
    main()
