"""A worker process as its supervisor starts it, and what it does when that is gone."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.supervisor.building import duel

WAIT = 30.0


@pytest.fixture
def worker():
    """A worker that listens, with a challenge, and its folder."""
    with tempfile.TemporaryDirectory(prefix="extproc-w-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "extproc.supervisor.worker"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            orders = {
                "listen": [f"unix:{folder}/w"],
                "egress": f"unix:{folder}/e",
                "graphs": [duel().raw],
                "ledger": f"{folder}/life.ledger",
            }
            tell(process, orders)
            assert json.loads(process.stdout.readline()) == {"ready": True}
            try:
                yield process
            finally:
                process.kill()


def tell(process: subprocess.Popen[bytes], message: object) -> None:
    """Send a line."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def test_a_generation_is_confirmed(worker: subprocess.Popen[bytes]):
    """Each order is answered with its number, when it is in force."""
    assert worker.stdout is not None
    for number, graphs in ((1, [duel().raw]), (2, []), (7, [duel("timeout: 2\n", "timeout: 3\n").raw])):
        tell(worker, {"generation": number, "graphs": graphs})
        said = json.loads(worker.stdout.readline())
        while "generation" not in said:
            said = json.loads(worker.stdout.readline())
        assert said == {"generation": number}


def test_the_end_of_its_supervisor_is_its_own(worker: subprocess.Popen[bytes]):
    """When nobody tells it anything any more it ends, and well."""
    assert worker.stdin is not None
    worker.stdin.close()
    worker.stdin = None
    _, errors = worker.communicate(timeout=WAIT)
    assert (worker.returncode, errors) == (0, b"")


def test_a_supervisor_that_hears_nothing_any_more(worker: subprocess.Popen[bytes]):
    """Whoever is gone is told nothing: a worker with something to say ends without a complaint."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdout.close()
    worker.stdout = None
    for number in range(20):
        tell(worker, {"generation": number, "graphs": [duel().raw]})
    worker.stdin.close()
    worker.stdin = None
    _, errors = worker.communicate(timeout=WAIT)
    assert (worker.returncode, errors) == (0, b"")
