"""Verdicts where it is known what is true: 100 runs with a difference planted, 100 without one, and what each guardrail does.

No Envoy takes part: see ``tests.challenge.live_runs``. Runs are watched after every ten requests, and from some hundreds on
whenever there are 5 % more. Without a difference means on the border of every guardrail, where neither verdict is true; on
the border of one alone either may be reached by mistake once in 20 runs, and both are told.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from extproc.graph.document import Guardrails
from tests.challenge.live_runs import BAD, BORDER, GOOD, RAILS, Ended, Planted, live_run, looks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.trials.options import Options

from bench.trials.scene import Found

RUNS = 100
STEP, GROWTH = 10, 0.05  # requests between two looks, and how many more there are at least in the end
MOST, BORDER_MOST = 4_000, 1_500
RIGHT, FALSE = 95, 5  # of 100, asked
SEEDS = 1_000_000  # between those of one kind of run and the next


def verdicts(options: Options) -> Found:
    """Run the trial."""
    kinds = ["promote", *BAD]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        planted = {
            kind: list(pool.map(partial(_planted, kind), _seeds(options, place, RUNS // len(kinds))))
            for place, kind in enumerate(kinds)
        }
        border = list(pool.map(_border, _seeds(options, 10, RUNS)))
        alone = {
            name: list(pool.map(partial(_border, name=name), _seeds(options, 20 + place, RUNS)))
            for place, name in enumerate(RAILS.__struct_fields__)
        }
    return _found(planted, border, alone)


def _seeds(options: Options, kind: int, runs: int) -> range:
    start = (options.seed * 100 + kind) * SEEDS
    return range(start, start + runs)


def _planted(kind: str, seed: int) -> Ended:
    planted: Planted = GOOD if kind == "promote" else BAD[kind]
    return live_run(seed, planted, looks(STEP, MOST, GROWTH))


def _border(seed: int, name: str | None = None) -> Ended:
    rails = RAILS if name is None else Guardrails(**{name: getattr(RAILS, name)})
    return live_run(seed, BORDER, looks(STEP, BORDER_MOST, GROWTH), rails)


def _right(kind: str, ended: Ended) -> bool:
    """Tell whether a run found what was planted; a rejection is right where the violated guardrail is why, alone."""
    if kind == "promote":
        return ended.verdict == "promote"
    return ended.verdict == "reject" and ended.rejecting == {kind}


def _found(
    planted: Mapping[str, Sequence[Ended]], border: Sequence[Ended], alone: Mapping[str, Sequence[Ended]]
) -> Found:
    right = sum(_right(kind, ended) for kind, runs in planted.items() for ended in runs)
    false = sum(ended.verdict != "collecting" for ended in border)
    figures: dict[str, object] = {"a difference planted: right, of 100": right}
    for kind, runs in planted.items():
        what = "better" if kind == "promote" else f"{kind} violated"
        after = median(ended.requests for ended in runs)
        figures[f"{what}: right, and after how many requests"] = (
            f"{sum(_right(kind, ended) for ended in runs)} of {len(runs)}, {after:.0f}"
        )
    figures[f"none planted: false after {BORDER_MOST} requests, of 100"] = false
    for name, runs in alone.items():
        counts = Counter(ended.verdict for ended in runs)
        figures[f"{name} alone, on its border: promoted / rejected"] = f"{counts['promote']} / {counts['reject']}"
    data = {
        "planted": {kind: _data(runs) for kind, runs in planted.items()},
        "border": _data(border),
        "alone": {name: _data(runs) for name, runs in alone.items()},
    }
    asked = f"planted: right in >= {RIGHT} of 100; none: false in <= {FALSE}"
    return Found("verdicts where the truth is known", figures, asked, right >= RIGHT and false <= FALSE, data)


def _data(runs: Sequence[Ended]) -> list[list[object]]:
    return [[ended.verdict, ended.requests, sorted(ended.rejecting)] for ended in runs]
