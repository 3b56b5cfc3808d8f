"""Verdicts on live runs in which it is known what is true: the right one where there is a difference, none without."""

from __future__ import annotations

from collections import Counter

import pytest

from extproc.challenge.evidence import PAIRED
from extproc.graph.document import Guardrails
from tests.challenge.live_runs import BAD, BORDER, GOOD, RAILS, live_run, looks, seen_after

RUNS = 100
LOOKS = looks(20, 5_120, 1.0)  # few: looks are what takes time, and each may err as well as the one before
SHORT = looks(20, 640, 1.0)


def test_a_planted_difference_is_found():
    """Of 100 runs, at least 95 end with the right verdict, and a rejection names the guardrail that is violated, alone."""
    right = 0
    for seed in range(RUNS):
        name, planted = [("", GOOD), *BAD.items()][seed % 5]
        ended = live_run(seed, planted, LOOKS)
        right += (ended.verdict, *ended.rejecting) == (("reject", name) if name else ("promote",))
    assert right >= 95


def test_without_a_difference_there_is_no_verdict():
    """Of 100 runs on the border of every guardrail, where neither verdict is true, at most 5 reach one."""
    verdicts = Counter(live_run(1_000 + seed, BORDER, SHORT).verdict for seed in range(RUNS))
    assert RUNS - verdicts["collecting"] <= 5


@pytest.mark.parametrize("name", RAILS.__struct_fields__)
def test_on_the_border_of_one_guardrail_neither_verdict_is_reached(name):
    """Of 40 runs that one guardrail alone judges, either verdict, which may err once in 20 times, ends at most 5."""
    rails = Guardrails(**{name: getattr(RAILS, name)})
    verdicts = Counter(live_run(2_000 + seed, BORDER, SHORT, rails).verdict for seed in range(40))
    assert verdicts["promote"] <= 5
    assert verdicts["reject"] <= 5


@pytest.mark.parametrize("planted", [GOOD, BORDER, *BAD.values()])
def test_what_is_planted_is_what_evidence_shows(planted):
    """After many requests, the figures are near what the run was made of: the simulation is not of something else."""
    evidence = seen_after(7, planted, 20_000)
    pairs = evidence.outcomes[PAIRED]
    truth = evidence.truth
    assert 1 - pairs / 20_000 == pytest.approx(planted.errors, abs=0.01)
    assert evidence.agreement[10_000] / pairs == pytest.approx(planted.agreement, abs=0.01)
    gain = sum((grain / 5_000 - 1) * times for grain, times in truth.accuracy_gain.items()) / truth.joined
    assert gain == pytest.approx(planted.gain, abs=0.01)
    assert evidence.kinds == {"label": pairs}
