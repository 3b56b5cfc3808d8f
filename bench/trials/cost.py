"""What a challenge costs: CPU per request of Envoy and worker, without one, with one that samples 1 %, and all.

In one run, round by round in random order. A sampled request is two requests in truth: its challenger's call goes through the
same Envoy. What the models, the supervisor and the load take is not counted.
"""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import uvloop

from bench.load import cpu_seconds
from bench.load import run as run_load
from bench.trials.scene import Found, graph, models, post, system

if TYPE_CHECKING:
    from bench.trials.options import Options
    from bench.trials.scene import Model, System

NAME = "fraud"
SECONDS = 4.0
CONNECTIONS = 8
TAKES = 10  # milliseconds of both models: no leg is shed, and the machine is not full
SETTLE = 0.5
CHALLENGE = """\
challenge:
  champion: v1
  challengers: [{{name: gbm, to: v2, sample: {sample}}}]
  compare: {{tolerance: 0.05}}
"""
ROOTS = {
    "no challenge": "split: {routes: [{to: v1, weight: 1}]}",
    "1 % sampled": CHALLENGE.format(sample="1%"),
    "100 % sampled": CHALLENGE.format(sample="100%"),
}
BASE, RARELY, ALWAYS = ROOTS
CHEAP = 1.15  # what an unsampled request may cost more: it has one message, as one without a challenge


@dataclass(frozen=True)
class Round:
    """One round of one system: microseconds for each request."""

    envoy: float
    worker: float
    rate: float

    @property
    def cpu(self) -> float:
        """Of both."""
        return self.envoy + self.worker


def cost(options: Options) -> Found:
    """Run the trial."""
    with ExitStack() as stack:
        (model,) = stack.enter_context(models(1))
        systems = {name: stack.enter_context(system(_graph(name, model))) for name in ROOTS}
        measured = _measure(systems, options)
        legs = {name: systems[name].settled(NAME)["challengers"][0]["counts"] for name in (RARELY, ALWAYS)}
    return _found(measured, legs)


def _graph(name: str, model: Model) -> str:
    used = [model.at(one, "number", TAKES) for one in (("v1",) if name == BASE else ("v1", "v2"))]
    return graph(NAME, used, ROOTS[name])


def _measure(systems: dict[str, System], options: Options) -> dict[str, list[Round]]:
    """Return the rounds of each system; the first warms up."""
    chance = random.Random(options.seed)
    measured: dict[str, list[Round]] = {name: [] for name in systems}
    for round_ in range(options.rounds + 1):
        for name in chance.sample(list(systems), len(systems)):
            found = _round(systems[name], options.seconds or SECONDS)
            if round_:
                measured[name].append(found)
    return measured


def _round(subject: System, seconds: float) -> Round:
    requests = [post(NAME, [[number / 8]]) for number in range(64)]
    before = [cpu_seconds(pid) for pid in subject.pids]
    load = run_load(("127.0.0.1", subject.port), requests, connections=CONNECTIONS, seconds=seconds)
    result = uvloop.run(load)
    time.sleep(SETTLE)  # what the last legs take belongs to them
    envoy, *workers = (cpu_seconds(pid) - start for pid, start in zip(subject.pids, before, strict=True))
    if set(result.statuses) != {200} or result.errors:
        raise RuntimeError(f"the load was not answered well: {dict(result.statuses)} {dict(result.errors)}")
    per = 1e6 / result.requests
    return Round(envoy * per, sum(workers) * per, result.rate)


def _found(measured: dict[str, list[Round]], legs: dict[str, dict[str, int]]) -> Found:
    ratios = {name: _ratios(measured, name) for name in (RARELY, ALWAYS)}
    figures: dict[str, object] = {}
    for name, rounds in measured.items():
        envoy, worker, rate = (median(getattr(one, key) for one in rounds) for key in ("envoy", "worker", "rate"))
        ratio = f", {median(ratios[name]):.2f} x" if name in ratios else ""
        figures[f"{name}, µs of Envoy + worker"] = f"{envoy:.0f} + {worker:.0f}{ratio}, at {rate:.0f} requests/s"
    for name, counts in legs.items():
        figures[f"{name}, what became of the legs"] = ", ".join(f"{key} {n}" for key, n in counts.items() if n)
    data = {
        "ratios": ratios,
        "rounds": {name: [vars(one) for one in rounds] for name, rounds in measured.items()},
        "counts": legs,
    }
    met = median(ratios[RARELY]) <= CHEAP
    return Found("cost of a challenge", figures, f"{RARELY}: <= {CHEAP} x; {ALWAYS}: told", met, data)


def _ratios(measured: dict[str, list[Round]], name: str) -> list[float]:
    pairs = zip(measured[name], measured[BASE], strict=True)
    return [round(ours.cpu / theirs.cpu, 3) for ours, theirs in pairs]
