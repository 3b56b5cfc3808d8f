"""Sticky, weighted choice: who goes where, for ever, and who moves when weights change."""

from __future__ import annotations

import functools
import json
import math
import os
import random
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import extproc
from extproc.expr import text_of
from extproc.plan.sticky import Lots, prefix_of, uniform
from tests.plan.building import rooted

GOLDEN = yaml.safe_load(Path(__file__).with_name("sticky.yaml").read_text(encoding="utf-8"))
N = 100_000
KEYS = [f"user-{number}" for number in range(N)]


def routes_of(case):
    return [(route["name"], float(route["weight"])) for route in case["routes"]]


@functools.cache
def assigned(weighted, seed="fraud/root"):
    """The route of each of 100,000 keys, by name."""
    lots = Lots.of(seed, weighted)
    return [weighted[lots.sticky(key)][0] for key in KEYS]


def within(count, total, share, deviations=3.0):
    """Whether a binomial count is as near to its expectation as it should be."""
    return abs(count - total * share) <= deviations * math.sqrt(total * share * (1 - share))


def by_paper(seed, name, key):
    """The contract's u, written down a second time: 52 bits of BLAKE2b-64, plus one half, over 2**52."""
    seed_bytes, name_bytes, key_bytes = seed.encode(), name.encode(), key.encode("utf-8", "surrogatepass")
    text = f"{len(seed_bytes)}:".encode() + seed_bytes + f"{len(name_bytes)}:".encode() + name_bytes + key_bytes
    bits = int(blake2b(text, digest_size=8).hexdigest()[:13], 16)
    return Fraction(2 * bits + 1, 2**53)


@pytest.mark.parametrize("case", GOLDEN["uniform"], ids=lambda case: f"{case['seed']}-{case['name']}-{case['key']}")
def test_uniform_golden(case):
    """The number behind seed, route name and key is the one of the first release, to the last bit."""
    found = uniform(prefix_of(case["seed"], case["name"]), case["key"].encode())
    assert found.hex() == case["uniform"]
    assert Fraction(found) == by_paper(case["seed"], case["name"], case["key"])


@pytest.mark.parametrize("case", GOLDEN["routes"], ids=lambda case: case["seed"])
def test_routes_golden(case):
    """Every key of the golden vectors goes to the route it went to in the first release."""
    weighted = routes_of(case)
    lots = Lots.of(case["seed"], weighted)
    assert {key: weighted[lots.sticky(key)][0] for key in case["keys"]} == case["keys"]


def test_other_processes_agree():
    """A process with another PYTHONHASHSEED sends the golden keys to the same routes."""
    script = (
        "import json, sys\n"
        "from extproc.plan.sticky import Lots\n"
        "cases = json.load(sys.stdin)\n"
        "print(json.dumps([[Lots.of(seed, routes).sticky(key) for key in keys] for seed, routes, keys in cases]))\n"
    )
    cases = [(case["seed"], routes_of(case), list(case["keys"])) for case in GOLDEN["routes"]]
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "2" else "2"
    answer = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(cases),
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=Path(extproc.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    names = [
        dict(zip(keys, (routes[index][0] for index in found), strict=True))
        for (_, routes, keys), found in zip(cases, json.loads(answer.stdout), strict=True)
    ]
    assert names == [case["keys"] for case in GOLDEN["routes"]]


SHARES = [
    (("stable", 90.0), ("canary", 10.0)),
    (("stable", 99.0), ("canary", 1.0)),
    (("a", 50.0), ("b", 30.0), ("c", 20.0)),
    (("a", 0.5), ("b", 0.25)),
    (("a", 1e-300), ("b", 3e-300)),
    (("a", 1e300), ("b", 1e300)),
]


@pytest.mark.parametrize("weighted", SHARES, ids=str)
def test_shares_are_exact(weighted):
    """Of 100,000 keys each route gets weight / sum, within three standard deviations."""
    counts = Counter(assigned(weighted))
    total = math.fsum(weight for _, weight in weighted)
    assert counts.total() == N
    assert {name: within(counts[name], N, weight / total) for name, weight in weighted} == dict.fromkeys(
        dict(weighted), True
    )


def moves(before, after):
    return Counter((old, new) for old, new in zip(before, after, strict=True) if old != new)


def test_a_larger_canary_moves_the_fewest_keys():
    """From 90/10 to 80/20 a tenth of the keys moves to the canary, and none moves back."""
    moved = moves(assigned((("stable", 90.0), ("canary", 10.0))), assigned((("stable", 80.0), ("canary", 20.0))))
    assert set(moved) == {("stable", "canary")}
    assert abs(moved["stable", "canary"] / N - 0.10) <= 0.005


def test_a_new_route_takes_its_keys_from_all():
    """Adding a route moves keys to it alone, from each other route a fair part."""
    moved = moves(assigned((("a", 50.0), ("b", 50.0))), assigned((("a", 50.0), ("b", 50.0), ("c", 25.0))))
    assert {new for _, new in moved} == {"c"}
    assert within(moved["a", "c"], N, 0.1)
    assert within(moved["b", "c"], N, 0.1)


def test_order_means_nothing():
    """The same names and weights in another order decide alike."""
    assert assigned((("a", 50.0), ("b", 30.0), ("c", 20.0))) == assigned((("c", 20.0), ("a", 50.0), ("b", 30.0)))


def test_other_seeds_are_independent():
    """A key's route under one seed says nothing about its route under another."""
    weighted = (("a", 50.0), ("b", 50.0))
    both = sum(one == two for one, two in zip(assigned(weighted), assigned(weighted, "other"), strict=True))
    assert within(both, N, 0.5)


def test_one_seed_decides_alike():
    """Two splits with one seed and the same route names send a key the same way, whatever leads there."""
    template = (
        "{{split: {{seed: {seed}, by: request.path, "
        "routes: [{{name: x, to: {x}, weight: 3}}, {{name: y, to: {y}, weight: 1}}]}}}}"
    )
    one = rooted(template.format(seed="experiment", x="a", y="b"), "one").root
    two = rooted(template.format(seed="experiment", x="b", y="a"), "two").root
    other = rooted(template.format(seed="another", x="a", y="b"), "one").root
    keys = KEYS[:2000]
    assert [one.lots.sticky(key) for key in keys] == [two.lots.sticky(key) for key in keys]
    assert [one.lots.sticky(key) for key in keys] != [other.lots.sticky(key) for key in keys]


def test_the_default_seed_is_graph_and_node():
    """Without a seed the graph's and the node's name are one, so that no two splits decide alike by accident."""
    split = "{split: {by: request.path, routes: [{name: x, to: a, weight: 1}, {name: y, to: %s, weight: 1}]}}"
    plan = rooted(split % "next", more=f"  next: {split % 'b'}")
    other = rooted(split % "b", "other")
    root, below = plan.root.lots, plan.root.branches[1].target.lots
    assert root == Lots.of("fraud/root", [("x", 1), ("y", 1)])
    assert below == Lots.of("fraud/next", [("x", 1), ("y", 1)])
    assert other.root.lots == Lots.of("other/root", [("x", 1), ("y", 1)])


def test_a_weight_of_zero_never_wins():
    """A route of weight 0 gets no key, and no request by chance either."""
    lots = Lots.of("s", [("off", 0.0), ("on", 1.0), ("gone", 0.0)])
    assert {lots.sticky(key) for key in KEYS[:20_000]} == {1}
    assert {lots.drawn(Scripted(number)) for number in (0.0, 0.5, math.nextafter(1.0, 0.0))} == {1}


def test_rounding_never_draws_a_weight_of_zero():
    """The largest random number takes the last route that has a weight, whatever the sums were rounded to."""
    chance = random.Random(1)
    for _ in range(2000):
        weights = [chance.random() for _ in range(chance.randint(1, 9))]
        lots = Lots.of("s", [(f"r{index}", weight) for index, weight in enumerate([*weights, 0.0])])
        assert lots.drawn(Scripted(math.nextafter(1.0, 0.0))) == len(weights) - 1


@pytest.mark.parametrize("weights", [(1e-300, 1e300), (5e-324, 1.7e308), (1e-9, 1e15)], ids=str)
def test_extreme_weights(weights):
    """Weights hundreds of orders apart send every key to the heavy route, and nothing overflows."""
    lots = Lots.of("s", [("light", weights[0]), ("heavy", weights[1])])
    assert {lots.sticky(key) for key in KEYS[:5_000]} == {1}
    assert lots.drawn(Scripted(0.5)) == 1


@pytest.mark.parametrize("key", ["\ud800", "\udfff\ud800", "a\ud83d", "\x00", "", "x" * 1_000_000])
def test_any_text_is_a_key(key):
    """A lone surrogate, a NUL, nothing and a megabyte are keys like others: the same route twice."""
    lots = Lots.of("s", [("a", 1), ("b", 1)])
    assert lots.sticky(key) == lots.sticky(key) in {0, 1}


def test_lone_surrogates_are_told_apart():
    """Different surrogates are different keys, not one replacement character."""
    lots = Lots.of("s", [("a", 1), ("b", 1)])
    assert {lots.sticky(chr(0xD800 + number)) for number in range(64)} == {0, 1}


def test_empty_names_and_seeds():
    """An empty name or seed hashes like any other."""
    lots = Lots.of("", [("", 1), ("b", 1)])
    assert {lots.sticky(key) for key in KEYS[:64]} == {0, 1}


@given(*[st.text(st.characters(exclude_categories=["Cs"]))] * 4)
def test_prefixes_are_unambiguous(seed, name, other_seed, other_name):
    """Different seeds or names never share a prefix, nor is one the beginning of another's."""
    one, two = prefix_of(seed, name), prefix_of(other_seed, other_name)
    if (seed, name) == (other_seed, other_name):
        assert one == two
    else:
        assert not one.startswith(two)
        assert not two.startswith(one)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_uniform_is_inside(prefix, key):
    """The number is never 0 and never 1, so that its logarithm is finite and negative."""
    assert 0.0 < uniform(prefix, key) < 1.0
    assert math.log(uniform(prefix, key)) < 0.0


WEIGHTS = st.lists(st.floats(0.001, 1000), min_size=2, max_size=5)


@given(WEIGHTS, st.integers(0, 4), st.floats(1.001, 50), st.text(min_size=1))
def test_only_the_grown_route_gains(weights, grown, factor, key):
    """When one weight grows, a key stays or moves to that route."""
    grown %= len(weights)
    more = [weight * (factor if index == grown else 1) for index, weight in enumerate(weights)]
    names = [f"r{index}" for index in range(len(weights))]
    before = Lots.of("s", list(zip(names, weights, strict=True))).sticky(key)
    after = Lots.of("s", list(zip(names, more, strict=True))).sticky(key)
    assert after in {before, grown}


@given(WEIGHTS, st.integers(-900, 900), st.text(min_size=1))
def test_only_ratios_count(weights, power, key):
    """All weights times a power of two decide the same."""
    named = [(f"r{index}", weight) for index, weight in enumerate(weights)]
    scaled = [(name, math.ldexp(weight, power)) for name, weight in named]
    assert Lots.of("s", named).sticky(key) == Lots.of("s", scaled).sticky(key)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (1, "1"), (0, -0.0), (2**53, 2.0**53), (True, "true"), ([1, 2.0], [1.0, 2]), ({"a": 1}, {"a": 1.0})],
    ids=str,
)
def test_one_key_however_it_is_written(one, other):
    """1 and 1.0 are the same key, in lists and maps too; so is the text of either."""
    assert text_of(one) == text_of(other)


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.5), (2**63, 2**63 + 1), ("a", "A"), ([1], 1)], ids=str)
def test_different_keys(one, other):
    """What is not the same value is not the same key."""
    assert text_of(one) != text_of(other)


def test_key_order_of_a_map_means_nothing():
    """A map is one key however its entries are ordered."""
    assert text_of({"a": 1, "b": 2}) == text_of({"b": 2, "a": 1})


class Scripted:
    """A Random that says one number."""

    def __init__(self, number):
        self.number = number

    def random(self):
        """Return the number."""
        return self.number


@pytest.mark.parametrize("weighted", SHARES, ids=str)
def test_drawn_shares(weighted):
    """By chance each route gets its share of 100,000 requests, within three standard deviations."""
    lots = Lots.of("s", weighted)
    chance = random.Random(20240229)
    counts = Counter(weighted[lots.drawn(chance)][0] for _ in range(N))
    total = math.fsum(weight for _, weight in weighted)
    assert all(within(counts[name], N, weight / total) for name, weight in weighted)


@pytest.mark.parametrize(
    ("number", "index"),
    [(0.0, 0), (0.4999999, 0), (0.5, 1), (0.7999999, 1), (0.8, 2), (math.nextafter(1.0, 0.0), 2)],
)
def test_drawn_borders(number, index):
    """The unit interval is cut at the sums of the shares, in document order."""
    assert Lots.of("s", [("a", 5), ("b", 3), ("c", 2)]).drawn(Scripted(number)) == index
