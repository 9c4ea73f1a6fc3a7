"""What is tested of the page at a gateway, whose workers generate the images."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time

from browser import Server


@contextlib.contextmanager
def fleet(page, server, workers):
    """A NATS server, workers by their names, and a gateway, whose page is shown."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cluster = f"--cluster=nats://127.0.0.1:{port}"
    own, processes = page.url, {}
    gateway = Server(server.command, [cluster], server.patience)
    with tempfile.TemporaryDirectory() as folder:
        program = shutil.which("nats-server") or "/usr/sbin/nats-server"
        nats = subprocess.Popen(
            [program, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(port)
            for name in workers:
                processes[name] = subprocess.Popen(
                    [server.command, "worker", cluster, f"--name={name}"],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            gateway.start()
            page.url = gateway.url.rstrip("/") + "/"
            yield processes
        finally:
            page.driver.get("about:blank")
            page.url = own
            gateway.stop()
            for process in [*processes.values(), nats]:
                process.kill()
                process.wait()


def wait_for(port):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nats-server did not start")


def live_continues_at_another_worker(page, server):
    with fleet(page, server, ["first", "second"]) as workers:
        page.open("live")
        while len(page.status()["workers"]) < 2:
            time.sleep(0.1)
        page.run("document.querySelector('[name=source][value=webcam]').click()")
        page.click("#source-start")
        page.wait_for_live_picture(2)
        while not page.status()["streams"]:
            time.sleep(0.1)
        (stream,) = page.status()["streams"]
        workers[stream["worker"]].kill()
        workers[stream["worker"]].wait()
        before = page.live_pictures()
        page.wait_for_live_picture(before + 5)
        assert not page.is_shown("#live-error"), page.text("#live-error")
        other = next(name for name in workers if name != stream["worker"])
        while other not in [now["worker"] for now in page.status()["streams"]]:
            time.sleep(0.1)
        page.click("#live-toggle")
    # The requests that found the worker gone.
    said = page.errors()
    assert all("/v1/streams" in message for message in said), said


TESTS = [live_continues_at_another_worker]
