"""A real PostgreSQL for tests: in a folder of its own, on a Unix socket alone, gone with the tests however they end."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INSTALLED = Path("/usr/lib/postgresql")  # where Debian puts versions, and none of them on the PATH
USER = "postgres"  # PostgreSQL refuses to run as root
START_SECONDS = 30.0  # a loaded machine; it takes a tenth of a second
STOP_SECONDS = 20.0
POLL_SECONDS = 0.02
# Run as root, it becomes the user first: the kernel forgets the signal when a process changes who it is. 1 is
# PR_SET_PDEATHSIG, linux/prctl.h; SIGQUIT stops PostgreSQL and all its processes at once.
_TRAMPOLINE = f"""
import ctypes, os, pwd, sys
if os.getuid() == 0:
    user = pwd.getpwnam({USER!r})
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
os.chdir(sys.argv[1])
ctypes.CDLL(None).prctl(1, {int(signal.SIGQUIT)})
os.execv(sys.argv[2], sys.argv[2:])
"""
# What makes it quick: nothing here has to live through a power cut.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "40",
    "shared_buffers": "32MB",
}


class Server:
    """A PostgreSQL server with a folder of its own; ``stop`` and ``start`` keep what it holds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Server {self._folder} {'runs' if self._process else 'stopped'}>"

    def url(self, database: str = USER, user: str = USER, **parameters: str) -> str:
        """The URL of a database, as users write it; ``parameters`` are libpq's."""
        return f"postgresql://{user}@/{database}?{urlencode({'host': self._folder, **parameters})}"

    def empty(self, user: str = USER) -> str:
        """The URL of a place without tables: a schema, which costs less time and disk than a database."""
        schema = f"test_{next(self._numbers)}"
        self.ask(f"CREATE SCHEMA {schema}")
        return self.url(user=user, options=f"-csearch_path={schema}")

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Runs a statement by itself and returns its rows."""
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def create(self) -> None:
        """Creates its files."""
        words = [binary("initdb"), "--pgdata", self._data, "--username", USER, "--auth=trust", "--encoding=UTF8"]
        done = self._run([*map(str, words), "--no-locale", "--no-sync"]).communicate()[0]
        if not (self._data / "PG_VERSION").exists():
            raise AssertionError(done.decode())

    def start(self) -> None:
        """Starts it and waits until it answers."""
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        words = [binary("postgres"), "-D", str(self._data), "-k", str(self._folder), *settings]
        with (self._folder / "log").open("ab") as log:
            self._process = self._run(words, log.fileno())
        self._wait()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops it: SIGINT closes connections and writes everything, SIGQUIT leaves it as a crash would."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(STOP_SECONDS)
            self._process = None

    def pid(self) -> int:
        """Its first process."""
        assert self._process
        return self._process.pid

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > until or self._ended():
                raise AssertionError((self._folder / "log").read_text())
            time.sleep(POLL_SECONDS)

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _answers(self) -> bool:
        try:
            return self.ask("SELECT 1") == [(1,)]
        except psycopg.OperationalError:
            return False

    def _run(self, words: Sequence[str], output: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", _TRAMPOLINE, str(self._folder), *words], stdout=output, stderr=subprocess.STDOUT
        )


@contextmanager
def postgres_server() -> Iterator[Server]:
    """A running server, empty."""
    binary("postgres")
    folder = Path(tempfile.mkdtemp(prefix="extproc-pg-"))  # short: a socket's path has at most 107 characters
    if os.getuid() == 0:
        user = pwd.getpwnam(USER)
        os.chown(folder, user.pw_uid, user.pw_gid)
    server = Server(folder)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop(signal.SIGQUIT)  # nobody will read what it would write at its end
        remove(folder)


def remove(folder: Path) -> None:
    """Removes a server's folder, whose last processes may still remove files of their own."""
    shutil.rmtree(folder, ignore_errors=True)
    assert not folder.exists()


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database on a server of its own."""
    with postgres_server() as server:
        yield server.url()


def binary(name: str) -> str:
    """The path of a program of PostgreSQL's server, the newest of those that are installed."""
    found = shutil.which(name)
    versions = INSTALLED.glob(f"*/bin/{name}")
    newest = max(versions, key=lambda path: float(path.parts[-3]), default=None)
    if not found and not newest:
        raise AssertionError(f"no {name}: these tests start a PostgreSQL; apt-get install postgresql")
    return found or str(newest)
