"""kill -9 of a process that books: what it acknowledged is there, and what it did not is interrupted."""

from __future__ import annotations

import subprocess
import sys

from extproc.challenge.evidence import INTERRUPTED, PAIRED
from tests.challenge.store.building import CHALLENGE, GBM, adds_up, outcomes, truth

ROUNDS = 3
BATCHES = 20


def killed_after(url, life, batches):
    """Runs the loop in a process of its own until it acknowledged so many, kills it, and returns the last number."""
    words = [sys.executable, "-m", "tests.challenge.store.loop", url, life]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if int(line) == batches:
                break
        process.kill()
        rest = process.stdout.read().split("\n")[:-1]
    return int(rest[-1]) if rest else batches


def test_kill_9(opened):
    """After each of several kills everything acknowledged is there, and each life adds up to what its worker saw."""
    acknowledged = 0
    for number in range(ROUNDS):
        life = f"life{number}"
        last = killed_after(opened.url, life, BATCHES + number)
        acknowledged += last
        store = opened()
        standing = store.read(CHALLENGE)
        assert store.open_lives() == (life,)
        assert acknowledged <= outcomes(standing)[PAIRED] // 3 <= acknowledged + number + 1
        assert acknowledged <= truth(standing).joined <= acknowledged + number + 1
        assert adds_up(standing)
        store.close_life(life, {CHALLENGE: (4 * (last + 1), (GBM,))})
    standing = opened().read(CHALLENGE)
    assert standing.eligible == 4 * (acknowledged + ROUNDS)
    assert set(outcomes(standing)) == {PAIRED, INTERRUPTED}
    assert adds_up(standing)
    assert len(standing.examples[GBM][""]) == 20
