"""A real headless Chromium, driven through the DevTools protocol over a pipe: no port, and no browser is left behind.

The browser reads its commands from a pipe whose other end is this process's. When this process goes, however it ends,
the pipe closes, and the kernel kills the browser as well.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any, Self

BINARIES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60.0  # seconds for one command; a start on a crowded machine takes some of them
CLOSING = 5.0  # seconds in which it closes by itself, and takes its own processes with it
BLOCK = 65_536
FLAGS = (
    "--headless",
    "--no-sandbox",  # in containers, tests run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",  # a container's /dev/shm is small
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# Run between fork and Chromium: the pipe's ends become 3 and 4, where Chromium looks for them. Signal 9 is SIGKILL, and
# 1 is PR_SET_PDEATHSIG of linux/prctl.h, which outlives the exec.
LAUNCHER = """
import ctypes, fcntl, os, sys
reads, writes = (fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3])
os.dup2(reads, 3)
os.dup2(writes, 4)
os.closerange(5, 64)
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[3]):
    sys.exit("the test has gone")
os.execv(sys.argv[4], sys.argv[4:])
"""
MEASURE = """
(() => {
  const width = document.documentElement.clientWidth;
  const scrolls = element => element && (element.closest('.scroll, pre') || element.closest('.unseen'));
  const wide = [...document.querySelectorAll('body *')].filter(element =>
    element.getBoundingClientRect().right > width + 0.5 && !scrolls(element) && !element.closest('svg'));
  return {width, scrolled: document.documentElement.scrollWidth, wide: wide.map(one => one.outerHTML.slice(0, 120))};
})()
"""


def binary() -> str:
    """Where Chromium is."""
    found = next((path for name in BINARIES if (path := shutil.which(name))), None)
    assert found, f"these tests need a Chromium, one of {', '.join(BINARIES)}: apt-get install chromium"
    return found


class Chromium:
    """A browser; ``with`` starts and ends it."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self._number = 0
        self._unread = b""
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        command = [sys.executable, "-c", LAUNCHER, str(theirs_in), str(theirs_out), str(os.getpid()), binary(), *FLAGS]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={self._home.name}"],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "HOME": self._home.name},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with contextlib.suppress(AssertionError, OSError):  # it may have ended by itself, and then has no answer
                self.command("Browser.close")
            self._process.wait(CLOSING)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # the session that was started for it, and nothing else
            self._process.wait(PATIENCE)
        os.close(self._out)
        os.close(self._in)
        self._home.cleanup()

    @property
    def pid(self) -> int:
        """The browser's process id."""
        return self._process.pid

    def open(self, url: str, width: int = 1200, height: int = 900, *, dark: bool = False) -> Tab:
        """Opens a page in a tab of its own, as large as is said, and waits until it is loaded."""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, target, session)
        tab.load(url, width, height, dark=dark)
        return tab

    def command(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result; what happens meanwhile is kept for ``events``."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != self._number:
            self._events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def until(self, method: str, session: str, times: int = 1) -> None:
        """Waits until an event of a tab has come so many times."""
        while sum(event.get("method") == method for event in self.events(session)) < times:
            self._events.append(self._message())

    def events(self, session: str) -> list[dict[str, Any]]:
        """What happened in a tab so far."""
        return [event for event in self._events if event.get("sessionId") == session]

    def _message(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        waiting = (
            select.poll()
        )  # select ends at descriptor 1,024, and the stubs of a whole run hold as many connections
        waiting.register(self._in, select.POLLIN | select.POLLHUP)
        while b"\0" not in self._unread:
            ready = waiting.poll(max(deadline - time.monotonic(), 0) * 1000)
            assert ready, f"Chromium said nothing for {PATIENCE:.0f} s"
            data = os.read(self._in, BLOCK)
            assert data, "Chromium ended"
            self._unread += data
        message, _, self._unread = self._unread.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


class Tab:
    """A page that was opened, and everything that happened while it was."""

    def __init__(self, browser: Chromium, target: str, session: str) -> None:
        self._browser = browser
        self._target = target
        self._session = session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the page."""
        self._browser.command("Target.closeTarget", targetId=self._target)

    def load(self, url: str, width: int, height: int, *, dark: bool) -> None:
        """Goes to a page."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._do(f"{domain}.enable")
        self._do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._do("Emulation.setEmulatedMedia", features=[scheme])
        self._do("Page.navigate", url=url)
        self.until_loaded()

    def until_loaded(self, times: int = 1) -> None:
        """Waits until the page was loaded so many times, from the first."""
        self._browser.until("Page.loadEventFired", self._session, times)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page, whose own policy does not bind it."""
        found = self._do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    @property
    def text(self) -> str:
        """The text that is seen after layout."""
        return str(self.evaluate("document.body.innerText"))

    @property
    def complaints(self) -> list[str]:
        """What the console holds: errors, violations of the page's policy, and whatever scripts wrote."""
        self.settled()
        logged = [event["params"] for event in self._happened("Log.entryAdded")]
        wrote = [event["params"] for event in self._happened("Runtime.consoleAPICalled", "Runtime.exceptionThrown")]
        return [str(one["entry"]["text"]) for one in logged] + [json.dumps(one) for one in wrote]

    @property
    def requests(self) -> list[str]:
        """The addresses that were asked for, but for those that hold their content themselves."""
        self.settled()
        urls = [event["params"]["request"]["url"] for event in self._happened("Network.requestWillBeSent")]
        return [url for url in urls if not url.startswith("data:")]

    @property
    def dialogs(self) -> int:
        """How many scripts asked for attention."""
        self.settled()
        return len(self._happened("Page.javascriptDialogOpening"))

    @property
    def width(self) -> dict[str, Any]:
        """The page's width, how wide it is when scrolled, and what reaches beyond it without scrolling by itself."""
        found: dict[str, Any] = self.evaluate(MEASURE)
        return found

    @property
    def accessible(self) -> list[tuple[str, str]]:
        """What a screen reader is told: roles and names."""
        nodes = self._do("Accessibility.getFullAXTree")["nodes"]
        return [(one["role"]["value"], one.get("name", {}).get("value", "")) for one in nodes if not one["ignored"]]

    def picture(self) -> bytes:
        """The whole page as PNG."""
        return base64.b64decode(self._do("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def settled(self) -> None:
        """Waits until the page has drawn what it has: two frames, after which all that it set off has been told."""
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def _do(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.command(method, self._session, **parameters)

    def _happened(self, *methods: str) -> list[dict[str, Any]]:
        return [event for event in self._browser.events(self._session) if event.get("method") in methods]
