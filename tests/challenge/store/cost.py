"""What booking costs: ``python -m tests.challenge.store.cost`` prints milliseconds for each call, on both databases."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from extproc.challenge.evidence import PAIRED, Evidence
from extproc.challenge.histogram import GRAINS
from extproc.challenge.store.feedback import Feedback
from tests.challenge.store.building import CHALLENGE, GBM, Opener, record, window
from tests.kit.postgres import postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from extproc.challenge.evidence import Window

RECORDS = 50  # of a window: half a second of a hundred sampled requests a second
TIMES = 300


def busy(number: int, segments: int = 1) -> Window:
    """A window of 50 records, one in ten of them an example, with latencies of a hundred buckets."""
    latency = dict.fromkeys(range(900, 1000), 3)
    each = Evidence({PAIRED: RECORDS // segments}, agreement={GRAINS: 45, 0: 5}, champion_latency=latency)
    evidence = {GBM: {f"s{segment}": each for segment in range(segments)}}
    records = [
        record(f"{number}-{one}", 0.0 if one % 10 == 0 else 1.0, segment=f"s{one % segments}") for one in range(RECORDS)
    ]
    return window(0, number * RECORDS, *records, evidence=evidence)


def milliseconds(call: Callable[[int], object], times: int = TIMES) -> str:
    """The median and the 99th percentile of a call, and the CPU time that this process takes for one."""
    took = []
    cpu = time.process_time()
    for number in range(1, times + 1):
        start = time.perf_counter()
        call(number)
        took.append((time.perf_counter() - start) * 1000)
    cpu = (time.process_time() - cpu) * 1000 / times
    tail = statistics.quantiles(took, n=100)[98]
    return f"median {statistics.median(took):6.2f} ms   p99 {tail:6.2f} ms   CPU {cpu:6.2f} ms"


def costs(url: str) -> Iterator[str]:
    """Measures one database, line by line."""
    with Opener(url) as opener:
        store = opener()
        whole = [busy(number) for number in range(TIMES + 1)]
        yield "book, 1 segment      " + milliseconds(lambda number: store.book("a", number, [whole[number]]))
        divided = [busy(number, 10) for number in range(TIMES, 2 * TIMES + 1)]
        yield "book, 10 segments    " + milliseconds(lambda number: store.book("b", number, [divided[number]]))
        empty = window(1, 1)
        yield "book, no records     " + milliseconds(lambda number: store.book("c", number, [empty]))
        yield "feedback of 1        " + milliseconds(lambda number: store.feedback([Feedback(f"{number}-1", 1)]))
        yield "read                 " + milliseconds(lambda _: store.read(CHALLENGE))
        yield "retain               " + milliseconds(lambda _: store.retain(), 10)


def main() -> None:
    """Prints what both databases cost."""
    with tempfile.TemporaryDirectory() as folder:
        for line in costs(f"sqlite:///{folder}/challenge.db"):
            sys.stdout.write(f"sqlite      {line}\n")
    with postgres() as url:
        for line in costs(url):
            sys.stdout.write(f"postgresql  {line}\n")


if __name__ == "__main__":
    main()
