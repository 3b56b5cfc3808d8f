"""What booking costs: ``python -m tests.challenge.store.cost`` prints milliseconds for each call, on both databases."""

from __future__ import annotations

import statistics
import tempfile
import time
from typing import TYPE_CHECKING

from extproc.challenge.evidence import PAIRED, Evidence
from extproc.challenge.histogram import GRAINS
from extproc.challenge.store.feedback import Feedback
from tests.challenge.store.building import CHALLENGE, GBM, Opener, record, window
from tests.kit.postgres import postgres

if TYPE_CHECKING:
    from collections.abc import Callable

    from extproc.challenge.evidence import Window

RECORDS = 50  # of a window: half a second of a hundred sampled requests a second
TIMES = 300


def busy(number: int, segments: int = 1) -> Window:
    """A window of 50 records, one in ten of them an example, with latencies of a hundred buckets."""
    latency = {bucket: 3 for bucket in range(900, 1000)}
    each = Evidence({PAIRED: RECORDS // segments}, agreement={GRAINS: 45, 0: 5}, champion_latency=latency)
    evidence = {GBM: {f"s{segment}": each for segment in range(segments)}}
    records = [
        record(f"{number}-{one}", 0.0 if one % 10 == 0 else 1.0, segment=f"s{one % segments}") for one in range(RECORDS)
    ]
    return window(0, number * RECORDS, *records, evidence=evidence)


def milliseconds(call: Callable[[int], object]) -> str:
    """The median and the 99th percentile of a call."""
    took = []
    for number in range(1, TIMES + 1):
        start = time.perf_counter()
        call(number)
        took.append((time.perf_counter() - start) * 1000)
    return f"median {statistics.median(took):6.2f} ms   p99 {statistics.quantiles(took, n=100)[98]:6.2f} ms"


def show(url: str) -> None:
    """Measures one database."""
    print(url.partition(":")[0])
    with Opener(url) as opener:
        store = opener()
        windows = {segments: [busy(number, segments) for number in range(2 * TIMES + 1)] for segments in (1, 10)}
        print("  book, 1 segment     ", milliseconds(lambda number: store.book("a", number, [windows[1][number]])))
        print(
            "  book, 10 segments   ",
            milliseconds(lambda number: store.book("b", number, [windows[10][number + TIMES]])),
        )
        empty = window(1, 1)
        print("  book, no records    ", milliseconds(lambda number: store.book("c", number, [empty])))
        print("  feedback of 1       ", milliseconds(lambda number: store.feedback([Feedback(f"{number}-1", 1)])))
        print("  read                ", milliseconds(lambda _: store.read(CHALLENGE)))
        print("  retain              ", milliseconds(lambda _: store.retain()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        show(f"sqlite:///{folder}/challenge.db")
    with postgres() as found:
        show(found)
