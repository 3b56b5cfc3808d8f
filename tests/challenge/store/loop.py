"""Books one batch after another and prints each number when it is acknowledged; killed by the test."""

from __future__ import annotations

import sys

from extproc.challenge.store.feedback import Feedback
from tests.challenge.store.building import Opener, record, window


def run(url: str, life: str) -> None:
    """Books for ever."""
    store = Opener(url)("w1")
    number = 0
    while True:
        number += 1
        store.book(life, number, [window(3, 4 * number, record(f"{life}-{number}", 0.5))])
        store.feedback([Feedback(f"{life}-{number}", 1)])
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
