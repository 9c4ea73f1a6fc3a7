"""The web page in a real browser: python Scripts/browser/test_page.py --streamflow .build/debug/streamflow

Needs `pip install selenium`, and Chromium with its driver (Debian: chromium, chromium-driver).
"""

import argparse
import json
import pathlib
import sys
import time
import traceback

import adapter_tests
import create_tests
import edit_tests
import fleet_tests
import frame_tests
import live_tests
from browser import Page, Server
from screenshots import photograph

TESTS = (create_tests.TESTS + edit_tests.TESTS + adapter_tests.TESTS + live_tests.TESTS
         + frame_tests.TESTS + fleet_tests.TESTS)
# Tests that start servers of their own.
NEED_COMMAND = [frame_tests.a_restarted_server_is_found_again, *fleet_tests.TESTS]


def passes(test, name, page, server, options):
    """Runs a test and prints how it ended; a server that has ended is started again."""
    begin = time.monotonic()
    try:
        test(page, server)
        errors = page.errors()
        assert not errors, "the console says " + json.dumps(errors)
        print(f"ok    {name} ({time.monotonic() - begin:.1f} s)", flush=True)
        return True
    except Exception as error:
        own = pathlib.Path(__file__).parent
        where = [step for step in traceback.extract_tb(error.__traceback__)
                 if pathlib.Path(step.filename).parent == own][-1]
        print(f"FAIL  {name}: {error} ({where.name}, line {where.lineno})", flush=True)
        if options.screenshots:
            options.screenshots.mkdir(parents=True, exist_ok=True)
            page.driver.save_screenshot(str(options.screenshots / f"FAIL-{test.__name__}.png"))
        page.errors()
        if server and server.process.poll() is not None:
            print("      the server ended; it is started again. Its last words were:")
            print("      " + "      ".join(server.lines[-12:]), flush=True)
            server.start()
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streamflow", help="the binary whose server is tested")
    parser.add_argument("--url", help="a server that is there already, in its place")
    parser.add_argument("--screenshots", type=pathlib.Path, help="a folder to keep images of the page in")
    parser.add_argument("--token", help="the token that the server asks for")
    parser.add_argument("--only", help="only the tests whose name has this in it")
    parser.add_argument("--patience", type=float, default=90, help="seconds to wait for anything")
    parser.add_argument("arguments", nargs="*", help="more arguments of `streamflow serve`, after --")
    options = parser.parse_args()
    if (options.streamflow is None) == (options.url is None):
        parser.error("say --streamflow or --url")

    server = None
    if options.streamflow:
        arguments = options.arguments or adapter_tests.ARGUMENTS
        server = Server(options.streamflow, arguments, options.patience)
        server.start()
    page = None
    passed, failed, unsteady = 0, 0, []
    try:
        page = Page(options.url or server.url, options.patience, options.token)
        for test in TESTS:
            name = test.__name__.replace("_", " ")
            if options.only and options.only not in name and options.only not in test.__name__:
                continue
            if server is None and test in NEED_COMMAND:
                print(f"skip  {name}: needs --streamflow")
                continue
            if passes(test, name, page, server, options):
                passed += 1
                continue
            print(f"again {name}", flush=True)
            if passes(test, name, page, server, options):
                passed += 1
                unsteady.append(name)
            else:
                failed += 1
        if options.screenshots:
            try:
                photograph(page, options.screenshots)
            except Exception as error:
                failed += 1
                print(f"FAIL  the screenshots: {error}", flush=True)
    finally:
        if page:
            page.quit()
        if server:
            server.stop()
    print(f"{passed} passed, {failed} failed" + "".join(f"; passed only when repeated: {name}" for name in unsteady))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
