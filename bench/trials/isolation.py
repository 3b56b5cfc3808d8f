"""A hung challenger beside the client's path: the champion's latency with it against the same graph without any challenge.

All systems are up at once, each with an Envoy, a worker and an open loop of its own; rounds are taken in random order.
"""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from bench.trials.clock import run
from bench.trials.open_loop import OpenLoop
from bench.trials.scene import Found, System, graph, models, post, system, waited

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.trials.options import Options
    from bench.trials.scene import Model

NAME = "fraud"
RATE = 100.0
CHAMPION_MS = 20
SECONDS = 6.0
# A leg that hangs ends with it. Of 100 a second then 64 time out and the rest is shed: both go on all the time.
TIMEOUT = "1s"
SETTLE = 2.5  # seconds after which no leg of a round is left: those under way, and those in line behind them
CHALLENGE = """\
challenge:
  champion: v1
  challengers: [{{name: hung, to: v2, sample: {sample}}}]
  compare: {{tolerance: 0.05}}
  guardrails: {{agreement: {{min: 0.97}}, errors: {{max: 0.01}}, latency: {{p95Ratio: 1.5}}}}
"""
ALONE = "split: {routes: [{to: v1, weight: 1}]}"
ROOTS = {
    "alone": ALONE,
    "10 %": CHALLENGE.format(sample="10%"),
    "100 %": CHALLENGE.format(sample="100%"),
}
ASKED = {"10 %": 1.05, "100 %": 1.15}


@dataclass(frozen=True)
class Round:
    """One round of one system, in milliseconds; ``late`` is the generator's own.

    ``waited`` is for how many of each second's milliseconds Envoy and worker were ready to run and had no CPU: where it is
    large, something else on the machine is what was measured.
    """

    p50: float
    p99: float
    late: float
    waited: float


def isolation(options: Options) -> Found:
    """Run the trial."""
    with ExitStack() as stack:
        quick, hung = stack.enter_context(models(2))
        systems = {name: stack.enter_context(system(_graph(name, quick, hung))) for name in ROOTS}
        measured = _measure(systems, options)
        counts = {name: systems[name].report(NAME)["challengers"][0]["counts"] for name in ASKED}
    return _found(measured, counts)


def _graph(name: str, quick: Model, hung: Model) -> str:
    used = [quick.at("v1", "number", CHAMPION_MS)]
    if name in ASKED:
        used.append(hung.at("v2", "number", "hang"))
    return graph(NAME, used, ROOTS[name], TIMEOUT)


def _measure(systems: dict[str, System], options: Options) -> dict[str, list[Round]]:
    """Return the rounds of each system; the first warms up."""
    chance = random.Random(options.seed)
    measured: dict[str, list[Round]] = {name: [] for name in systems}
    for round_ in range(options.rounds + 1):
        for name in chance.sample(list(systems), len(systems)):
            found = _round(systems[name], options.seconds or SECONDS)
            time.sleep(SETTLE)
            if round_:
                measured[name].append(found)
    return measured


def _round(subject: System, seconds: float) -> Round:
    requests = [post(NAME, [[number / 8]]) for number in range(64)]
    before = waited(subject.pids)

    async def load() -> Round:
        sent = await OpenLoop(subject.port, lambda number: requests[number % len(requests)], RATE).run(seconds)
        if sent.errors or set(sent.statuses) != {200}:
            raise RuntimeError(f"the load was not answered well: {dict(sent.statuses)} {dict(sent.errors)}")
        without = (waited(subject.pids) - before) / seconds
        return Round(*(1e3 * one for one in (sent.quantile(0.5), sent.quantile(0.99), sent.late_p99, without)))

    return run(load())


def _found(measured: dict[str, list[Round]], counts: dict[str, dict[str, int]]) -> Found:
    ratios = {
        name: {quantile: _ratios(measured["alone"], measured[name], quantile) for quantile in ("p50", "p99")}
        for name in ASKED
    }
    figures: dict[str, object] = {"alone, p50 / p99 ms": _middle(measured["alone"])}
    for name, found in ratios.items():
        figures[f"{name} sampled, p50 / p99 ms"] = _middle(measured[name])
        figures[f"{name} sampled, p99 over alone"] = f"{median(found['p99']):.3f}, by round {_row(found['p99'])}"
        figures[f"{name} sampled, p50 over alone"] = f"{median(found['p50']):.3f}, by round {_row(found['p50'])}"
        figures[f"{name} sampled, what became of the legs"] = _counts(counts[name])
    figures["the generator was late, p99 ms"] = f"{max(one.late for rounds in measured.values() for one in rounds):.2f}"
    figures["without a CPU, ms of each second"] = ", ".join(
        f"{name} {median(one.waited for one in rounds):.0f}" for name, rounds in measured.items()
    )
    met = all(median(ratios[name]["p99"]) <= asked for name, asked in ASKED.items())
    asked = "; ".join(f"{name} sampled: p99 <= {bound} x" for name, bound in ASKED.items())
    data = {
        "ratios": ratios,
        "rounds": {name: [vars(one) for one in rounds] for name, rounds in measured.items()},
        "counts": counts,
    }
    return Found("isolation from a hung challenger", figures, asked, met, data)


def _ratios(base: Sequence[Round], other: Sequence[Round], quantile: str) -> list[float]:
    pairs = zip(base, other, strict=True)
    return [round(getattr(theirs, quantile) / getattr(ours, quantile), 4) for ours, theirs in pairs]


def _middle(rounds: Sequence[Round]) -> str:
    return f"{median(one.p50 for one in rounds):.2f} / {median(one.p99 for one in rounds):.2f}"


def _row(ratios: Iterable[float]) -> str:
    return " ".join(f"{one:.2f}" for one in ratios)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)
