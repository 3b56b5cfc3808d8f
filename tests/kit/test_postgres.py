"""The PostgreSQL of the tests: it starts, keeps what it holds, and never outlives them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.kit import postgres as kit

OWNER = """
import sys
from tests.kit.postgres import postgres_server
with postgres_server() as server:
    print(server.pid(), server._folder, flush=True)
    sys.stdin.read()
"""


def test_it_starts_and_goes():
    """A server answers under its URL, and its folder is gone with it."""
    with kit.postgres_server() as server:
        folder = server._folder
        with psycopg.connect(server.empty()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not folder.exists()


def test_it_keeps_what_it_holds():
    """A server that was stopped and started again has the same tables, however it was stopped."""
    with kit.postgres_server() as server:
        server.ask("CREATE TABLE kept (number int)")
        for how in (signal.SIGINT, signal.SIGQUIT):
            server.ask("INSERT INTO kept VALUES (1)")
            server.stop(how)
            with pytest.raises(psycopg.OperationalError):
                server.ask("SELECT 1")
            server.start()
        assert server.ask("SELECT count(*) FROM kept") == [(2,)]


def test_it_goes_with_the_tests():
    """Tests that are killed leave no server behind."""
    words = [sys.executable, "-c", OWNER]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        pid, folder = owner.stdout.readline().split()
        assert Path(f"/proc/{pid}").exists()
        owner.kill()
    try:
        until = time.monotonic() + kit.STOP_SECONDS
        while running(int(pid)):
            assert time.monotonic() < until
            time.sleep(kit.POLL_SECONDS)
    finally:
        kit.remove(Path(folder))


def running(pid):
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_without_postgresql(monkeypatch, tmp_path):
    """Where PostgreSQL is missing the tests fail and name what to install."""
    monkeypatch.setattr(kit, "INSTALLED", tmp_path)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(AssertionError, match="apt-get install postgresql"), kit.postgres():
        pass


def test_the_newest_is_taken(monkeypatch, tmp_path):
    """Of several versions the newest is taken, by number."""
    for version in ("9.6", "15", "16"):
        program = tmp_path / version / "bin" / "initdb"
        program.parent.mkdir(parents=True)
        program.touch()
    monkeypatch.setattr(kit, "INSTALLED", tmp_path)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert kit.binary("initdb") == str(tmp_path / "16/bin/initdb")
