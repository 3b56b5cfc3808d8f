"""Sampling: by the hash that splits use, exactly in its share, and keeping its keys when the share grows."""

from __future__ import annotations

import random
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.engine.request import Request
from extproc.engine.run import Run
from extproc.engine.sampling import sampled
from extproc.plan.plan import SplitPlan
from extproc.plan.sticky import prefix_of, uniform
from tests.engine.deciding import REQUEST, Recording, Scripted, seams
from tests.engine.scripted import planned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extproc.plan.plan import ChallengePlan, Plan

KEYS = [f"user-{number}" for number in range(20_000)]
QUICK = settings(derandomize=True, deadline=None, max_examples=200)


def challenging(share: float | str, by: str | None = "request.headers.u", name: str = "gbm") -> Plan:
    """A plan that samples a share for one challenger."""
    challenger = {"name": name, "to": "b", "sample": share} | ({} if by is None else {"by": by})
    return planned({"root": {"challenge": {"champion": "a", "challengers": [challenger]}}})


def node_of(plan: Plan) -> ChallengePlan:
    """The plan's challenge."""
    assert plan.challenge is not None
    return plan.challenge


def drawn(
    plan: Plan,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    chance: Iterable[float] = (),
    recorder: Any = None,
) -> bool:
    """Whether the challenger sees a request; all of the scripted chance must be needed."""
    node, scripted = node_of(plan), Scripted(chance)
    run = Run(plan, Request({**REQUEST, **(headers or {})}, body), seams(scripted, recorder or Recording()), 1.0)
    found = sampled(run, node.challengers[0], node.name)
    assert not scripted.numbers
    return found


def of(plan: Plan) -> set[str]:
    """Which keys are sampled."""
    return {key for key in KEYS if drawn(plan, {"u": key})}


@pytest.mark.parametrize("share", [0.001, 0.1, 0.25, 0.5, 0.9, 0.999])
def test_the_share_is_exact(share):
    """Over many keys the sampled share differs from the one asked for by no more than chance has it (5 sigma)."""
    found = len(of(challenging(share))) / len(KEYS)
    assert abs(found - share) <= 5 * sqrt(share * (1 - share) / len(KEYS))


def test_a_growing_share_keeps_its_keys():
    """A larger share sees every key that a smaller one saw, and a smaller one is contained in it."""
    shares = [of(challenging(share)) for share in (0.05, 0.1, 0.5, 0.95)]
    assert all(one < other for one, other in pairwise(shares))


@QUICK
@given(st.text(min_size=1), st.floats(0, 1, exclude_max=True))
def test_it_is_the_hash_of_splits(key, share):
    """A key is sampled when its uniform number is below the share: the number that a split's route of that name has."""
    split = planned({"root": {"split": {"by": "1", "routes": [{"name": "gbm", "to": "b", "weight": 1}]}}}).root
    assert isinstance(split, SplitPlan)
    ((_, _, prefix),) = split.lots.entries
    plan = challenging(share, "request.body.key")
    challenger = node_of(plan).challengers[0]
    assert challenger.prefix == prefix == prefix_of("fraud/root", "gbm")
    expected = uniform(prefix, key.encode()) < share
    if key.isascii() and key.isalnum():
        assert drawn(plan, body=f'{{"key": "{key}"}}'.encode()) is expected
        assert drawn(challenging(share), {"u": key}) is expected


# Computed with nothing but hashlib: BLAKE2b-64 of "10:fraud/root3:gbm" and the key, its first 52 bits and a half.
KNOWN = ["user-3", "user-5", "user-8", "user-9", "user-12", "user-18", "user-25", "user-28"]


def test_known_keys():
    """The keys that are sampled are the same for ever: on every machine, after every release."""
    assert [key for key in KEYS[:40] if drawn(challenging(0.25), {"u": key})] == KNOWN


def test_equal_keys_are_one():
    """1 and 1.0 are the same key, and so is the text 1."""
    plan = challenging(0.5, "request.body.key")
    for number in range(50):
        texts = [f'{{"key": {text}}}'.encode() for text in (f"{number}", f"{number}.0", f'"{number}"')]
        assert len({drawn(plan, body=text) for text in texts}) == 1


def test_challengers_are_drawn_independently():
    """Two challengers with one key and share see different requests: a fourth is seen by both halves."""
    one, other = of(challenging(0.5)), of(challenging(0.5, name="mlp"))
    assert abs(len(one & other) / len(KEYS) - 0.25) < 0.02


def test_all_and_none():
    """All is everybody and none nobody; for all no expression is evaluated, and no chance drawn."""
    assert of(challenging(1)) == set(KEYS)
    assert of(challenging(0)) == set()
    recorder = Recording()
    assert drawn(challenging(1), recorder=recorder)
    assert drawn(challenging(1, "request.body.x"), body=b"{", recorder=recorder)
    assert recorder.told == []
    assert not drawn(challenging(0, None), chance=[0.0])


NO_KEY: dict[str, tuple[str, dict[str, str], bytes | None, int]] = {
    "no header": ("request.headers.u", {}, None, 1),
    "an empty header": ("request.headers.u", {"u": ""}, None, 0),
    "null": ("null", {}, None, 0),
    "an error": ("1 / 0", {}, None, 1),
    "no body": ("request.body.u", {}, None, 1),
    "no such field": ("request.body.u", {}, b"{}", 1),
    "an empty field": ("request.body.u", {}, b'{"u": ""}', 0),
    "null in the body": ("request.body.u", {}, b'{"u": null}', 0),
    "no JSON": ("request.body.u", {}, b"{", 0),
    "a compressed body": ("request.body.u", {"content-encoding": "gzip"}, b"{}", 0),
}


@pytest.mark.parametrize("case", NO_KEY)
def test_without_a_key_chance_decides(case):
    """A key that is missing, empty or not to be had fails nothing: chance decides, and only an expression's error is told."""
    by, headers, body, failures = NO_KEY[case]
    for chance, expected in ((0.24999, True), (0.25, False)):
        recorder = Recording()
        assert drawn(challenging(0.25, by), headers, body, [chance], recorder) is expected
        assert recorder.told == [("failed", "fraud", "root", by)] * failures


def test_by_chance():
    """Without ``by`` every request is drawn anew, in the share asked for."""
    plan, node = challenging(0.25, None), node_of(challenging(0.25, None))
    run = Run(plan, Request(dict(REQUEST)), seams(random.Random(7), Recording()), 1.0)
    found = sum(sampled(run, node.challengers[0], node.name) for _ in range(20_000)) / 20_000
    assert abs(found - 0.25) < 0.015


def test_a_key_that_is_no_unicode():
    """Half of a surrogate pair is a key like any other."""
    assert isinstance(drawn(challenging(0.5), {"u": "\ud800"}), bool)
