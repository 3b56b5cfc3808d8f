"""A whole ``extproc up`` as a test sees it: its addresses, its processes, and what its Envoy counted."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

START_SECONDS = 120.0  # some eighty graphs on a loaded machine; the system says itself when it does not get there
STOP_SECONDS = 15.0  # the contract's 5 s of draining, and room for a loaded machine
WAIT_SECONDS = 15.0
POLL_SECONDS = 0.02
EXTPROC = str(Path(sys.executable).with_name("extproc"))
# Run in place of the command: the kernel ends it when the tests are gone, however they ended. No preexec_fn, which is
# unsafe in a process with threads. 1 is PR_SET_PDEATHSIG, linux/prctl.h; it lives through exec.
DIE_WITH_PARENT = (
    f"import ctypes, os, sys; ctypes.CDLL(None).prctl(1, {int(signal.SIGTERM)}); os.execv(sys.argv[1], sys.argv[1:])"
)
# What must never happen on the way between Envoy and processor, unless a test brings it about.
FAULTS = (
    r"^(http\.ingress\.ext_proc\.(fast|body)\.(spurious_msgs_received|rejected_header_mutations|message_timeouts"
    r"|failure_mode_allowed|streams_failed|http_not_ok_resp_received)|.*update_rejected"
    r"|listener_manager\.listener_create_failure)$"
)
# A line of FailureLog's: tests bring failures about.
ABOUT_A_REQUEST = re.compile(r"\S+ (worker|serve) \d+ WARNING ([a-z0-9-]+: \d{3} [a-z_]+\b|\d+ more requests failed)")


class Running:
    """One running system; ``line`` is what it told when it was ready."""

    def __init__(self, process: subprocess.Popen[bytes], line: Mapping[str, Any], said: Path) -> None:
        self.process = process
        self.ingress_port = urllib.parse.urlsplit(line["ingress"]).port or 0
        self.admin_url: str = line["admin"]
        self.graphs: list[str] = line["graphs"]
        self.pids: dict[str, Any] = line["pids"]
        self._admin_socket: str = line["envoyAdmin"]
        self._said = said

    def __repr__(self) -> str:
        return f"<Running :{self.ingress_port} pids={self.pids}>"

    def said(self) -> str:
        """What its processes wrote to standard error so far, but for lines about requests that failed."""
        lines = self._said.read_text().splitlines(keepends=True)
        return "".join(line for line in lines if not ABOUT_A_REQUEST.match(line))

    def envoy(self, path: str) -> str:
        """A page of Envoy's admin."""
        connection = _UnixConnection(self._admin_socket)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def stats(self, pattern: str) -> dict[str, int]:
        """Envoy's counters and gauges whose names match an RE2 pattern."""
        text = self.envoy(f"/stats?filter={urllib.parse.quote(pattern, safe='')}")
        pairs = (line.rpartition(": ") for line in text.splitlines())
        return {name: int(value) for name, _, value in pairs if value.isdigit()}

    def faults(self) -> dict[str, int]:
        """The counters of what must not happen, where they are not zero."""
        return {name: count for name, count in self.stats(FAULTS).items() if count}

    def processors(self) -> int:
        """How many processors Envoy sees well; 0 while it cannot be asked."""
        try:
            return self.stats(r"^cluster\.extproc\.membership_healthy$").get("cluster.extproc.membership_healthy", 0)
        except (OSError, http.client.HTTPException):
            return 0

    def admin(self, path: str) -> tuple[int, str, str]:
        """A page of the admin address: status, content type, text."""
        where = urllib.parse.urlsplit(self.admin_url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=WAIT_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", path)
            page = connection.getresponse()
            return page.status, page.headers["content-type"], page.read().decode()

    def children(self) -> dict[int, str]:
        """The supervisor's living children and their command lines."""
        pid = self.pids["supervisor"]
        pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return {int(child): command_of(int(child)) for child in pids}

    def workers(self) -> set[int]:
        """The workers that live now."""
        return {pid for pid, command in self.children().items() if "extproc.supervisor.worker" in command}

    def ready(self) -> bool:
        """Whether /readyz says so."""
        try:
            return self.admin("/readyz")[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def signal(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        self.process.send_signal(number)

    def ended(self, within: float = STOP_SECONDS) -> int:
        """Wait for the supervisor's end and return its exit code."""
        return self.process.wait(within)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("envoy", timeout=WAIT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WAIT_SECONDS)
        self.sock.connect(self._path)


def command_of(pid: int) -> str:
    """A process's command line; empty when there is none or it is a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def launch(
    arguments: Sequence[str], said: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start the command line tool; it ends with this process."""
    with said.open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-c", DIE_WITH_PARENT, EXTPROC, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )


@contextlib.contextmanager
def running(
    graphs: str, *, workers: int = 1, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run ``extproc up`` on the text of graphs; at the end it is stopped, if the test has not done so."""
    with tempfile.TemporaryDirectory(prefix="extproc-test-") as folder:
        place = Path(folder)
        (place / "graphs.yaml").write_text(graphs)
        words = ["up", str(place / "graphs.yaml"), "--port", "0", "--admin", "127.0.0.1:0", "--json"]
        words += ["--workers", str(workers), "--state", str(place / "state"), *arguments]
        with launch(words, place / "said", environment) as process:
            try:
                yield Running(process, _first_line(process, place / "said"), place / "said")
            finally:
                _stop(process)


def _first_line(process: subprocess.Popen[bytes], said: Path) -> dict[str, Any]:
    assert process.stdout is not None
    waiting = select.poll()  # select ends at descriptor 1,024, and the stubs of a whole run hold as many connections
    waiting.register(process.stdout, select.POLLIN | select.POLLHUP)
    line = process.stdout.readline() if waiting.poll(START_SECONDS * 1000) else b""
    assert line, f"it did not start within {START_SECONDS} s: {said.read_text()}"
    told: dict[str, Any] = json.loads(line)
    return told


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


async def eventually(holds: Callable[[], Any], within: float = WAIT_SECONDS) -> Any:
    """Look at another process's state until it holds, and return what it was then.

    Raises:
        TimeoutError: It did not hold in time; the message has the last state.
    """
    end = time.monotonic() + within
    while not (state := holds()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within} s: {state!r}")
        await asyncio.sleep(POLL_SECONDS)
    return state
