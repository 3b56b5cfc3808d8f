"""Charts: round values on their axes, and every mark where its value is."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.challenge.document import Bound, Curves, Estimate, Latency, Moment, Rail, Speed
from extproc.challenge.page.bars import drawn, histogram
from extproc.challenge.page.curves import curves
from extproc.challenge.page.interval import domain, interval
from extproc.challenge.page.plot import BOTTOM, LEFT, RIGHT, TOP, Described
from extproc.challenge.page.scale import Linear, Logarithmic, clock_ticks, decade_ticks, ticks, widened
from extproc.challenge.page.sequence import DRAWN, Known, known, sequence, thinned
from tests.challenge.markup import elements

NAMED = Described("c", "title", "description")
DOMAINS = st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def found(markup, class_):
    return [one for one in elements(markup) if class_ in one.attributes.get("class", "").split()]


@given(DOMAINS, st.integers(2, 8))
def test_ticks_are_round_and_within(domain_, about):
    """At least one and not many more than asked, equally far apart, within the domain but for rounding."""
    low, high = domain_
    values = ticks(low, high, about)
    assert 1 <= len(values) <= about + 1
    assert all(low - 1e-6 * (high - low) <= value <= high + 1e-6 * (high - low) for value in values)
    steps = {round((after - before) / (high - low), 6) for before, after in pairwise(values)}
    assert len(steps) <= 1


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.25, 0.5, 0.75, 1]), (0.9, 1.0, [0.9, 0.925, 0.95, 0.975, 1.0]), (-3, 3, [-2, 0, 2]), (2, 2, [2])],
)
def test_ticks(low, high, expected):
    """Multiples of 1, 2, 2.5 and 5 times a power of ten."""
    assert ticks(low, high, 4) == pytest.approx(expected)


def test_ticks_of_a_clock():
    """Times of day that people read: whole quarters, hours, days."""
    assert clock_ticks(1000, 1000 + 3600) == [1800, 2700, 3600, 4500]
    assert clock_ticks(0, 4 * 86_400) == [0, 86_400, 172_800, 259_200, 345_600]
    assert [at % 86_400 for at in clock_ticks(5, 5 + 90 * 86_400)] == [0, 0, 0]


def test_ticks_of_decades():
    """1, 2 and 5 where there is room, else powers of ten."""
    assert decade_ticks(3, 120) == [5, 10, 20, 50, 100]
    assert decade_ticks(0.5, 20_000) == pytest.approx([1, 10, 100, 1000, 10_000])


@given(st.lists(st.floats(-1e9, 1e9), min_size=1))
def test_a_domain_is_wider_than_its_values(values):
    """And never empty."""
    low, high = widened(values)
    assert low < min(values) <= max(values) < high


def test_scales():
    """Ends are at ends; a logarithmic middle is the geometric mean."""
    assert [Linear(10, 20, 0, 100)(value) for value in (10, 15, 20, 25)] == [0, 50, 100, 150]
    assert Linear(5, 5, 3, 9)(5) == 3
    assert [Logarithmic(1, 100, 0, 10)(value) for value in (1, 10, 100)] == pytest.approx([0, 5, 10])
    assert Logarithmic(1, 100, 0, 10)(0) == 0


def moments(count, **changed):
    figures = {"agreement": (0.98, 0.96, 0.99), **changed}
    return [Moment(at=1000.0 + 60 * index, samples=index, guardrails=figures) for index in range(count)]


RAIL = Rail(verdict="pass", value=0.98, low=0.96, high=0.99, samples=9, bound=Bound(min=0.97))


def test_a_sequence_is_drawn():
    """Figure, band, the bound as a line with its label, and a shade over what would break it."""
    chart = sequence("c", "agreement", RAIL, moments(10))
    for class_ in ("band", "figure-line", "limit", "forbidden", "now"):
        assert len(found(chart, class_)) == 1
    assert [one.text for one in found(chart, "limit-label")] == ["at least 97%"]
    (line,), (shade,), (now,) = (found(chart, class_) for class_ in ("limit", "forbidden", "now"))
    height = float(line.attributes["y1"])
    assert float(shade.attributes["y"]) == height
    assert float(shade.attributes["y"]) + float(shade.attributes["height"]) == pytest.approx(BOTTOM)
    assert float(now.attributes["cx"]) == RIGHT
    assert TOP < float(now.attributes["cy"]) < height


def test_what_is_too_much_is_shaded_above():
    """A guardrail that asks for little breaks above its bound."""
    rail = Rail(verdict="pass", bound=Bound(max=0.01), samples=1)
    chart = sequence("c", "errors", rail, moments(3, errors=(0.005, 0.001, 0.02)))
    (shade,), (line,) = found(chart, "forbidden"), found(chart, "limit")
    assert float(shade.attributes["y"]) == TOP
    assert float(shade.attributes["height"]) == pytest.approx(float(line.attributes["y1"]) - TOP, abs=0.01)


def test_a_sequence_needs_two_moments():
    """One, or one of which a bound is not known, is said in words."""
    for history in (moments(0), moments(1), moments(5, agreement=(0.98, 0.9, None))):
        assert "once it has been looked at twice" in sequence("c", "agreement", RAIL, history)


def test_moments_are_in_the_order_of_time():
    """However they come."""
    assert [one.at for one in known("agreement", moments(4)[::-1])] == [1000, 1060, 1120, 1180]


@given(st.integers(2, 2000))
def test_thinned_moments(count):
    """As many as can be told apart, the first and the last among them, in order."""
    all_ = [Known(float(at), 0.5, 0.4, 0.6, at) for at in range(count)]
    kept = thinned(all_)
    assert kept[0] is all_[0]
    assert kept[-1] is all_[-1]
    assert len(kept) <= DRAWN + 1
    assert count > DRAWN or kept == all_
    assert all(before.at < after.at for before, after in pairwise(kept))


def test_bars_are_as_tall_as_their_counts():
    """In proportion, from the floor; one that is there at all is seen, and one of nothing is not there."""
    chart = histogram(NAMED, [(0, 1, 100), (1, 2, 50), (2, 3, 0), (3, 4, 1)])
    heights = [float(one.attributes["height"]) for one in found(chart, "bar")]
    assert len(heights) == 3
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.02)
    assert heights[2] >= 1
    assert {float(one.attributes["y"]) + float(one.attributes["height"]) for one in found(chart, "bar")} == {BOTTOM}


def test_what_is_beyond_is_no_wider_than_a_bar():
    """And it is told apart; its tip says from where to where it goes."""
    bars = [(-9, -2, 4), (-2, -1, 1), (-1, 0, 5), (0, 1, 5), (1, 2, 1), (2, 70, 4)]
    assert [(one.low, one.high, one.beyond) for one in (drawn(bars)[0], drawn(bars)[-1])] == [
        (-3, -2, True),
        (2, 3, True),
    ]
    chart = histogram(NAMED, bars, 0.5)
    assert [one.text for one in found(chart, "beyond")] == ["-9 to -2: 4", "2 to 70: 4"]


def test_no_difference_and_what_agrees_are_marked():
    """A line at zero, and a shade as wide as the tolerance on either side of it."""
    chart = histogram(NAMED, [(-1, 0, 3), (0, 1, 3)], 0.5)
    (zero,), (allowed,) = found(chart, "zero"), found(chart, "allowed")
    middle = (LEFT + RIGHT) / 2
    assert float(zero.attributes["x1"]) == middle
    left, width = float(allowed.attributes["x"]), float(allowed.attributes["width"])
    assert left + width / 2 == pytest.approx(middle)
    assert width == pytest.approx((RIGHT - LEFT) / 2)
    assert not found(histogram(NAMED, [(0, 0.5, 3), (0.5, 1, 3)]), "zero")


def test_curves_of_latency():
    """One line for each leg, its p95 marked at 95%, faster to the left."""
    latency = Latency(
        champion=Speed(p95=20.0),
        challenger=Speed(p95=40.0),
        curves=Curves(champion=((5.0, 0.2), (20.0, 0.95), (50.0, 1.0)), challenger=((8.0, 0.3), (40.0, 0.95))),
    )
    chart = curves("c", latency)
    ours, theirs = found(chart, "mark")
    assert float(ours.attributes["cx"]) < float(theirs.attributes["cx"])
    assert ours.attributes["cy"] == theirs.attributes["cy"]
    assert len(found(chart, "curve")) == 2
    path = found(chart, "curve")[0].attributes["d"]
    places = [tuple(map(float, place)) for place in re.findall(r"([\d.]+) ([\d.]+)", path)]
    assert places[2] == pytest.approx((float(ours.attributes["cx"]), float(ours.attributes["cy"])), abs=0.1)
    assert all(before[0] <= after[0] and before[1] >= after[1] for before, after in pairwise(places))
    assert curves("c", Latency()) is None


def test_intervals_beside_each_other():
    """On one scale, from below the lowest bound to 1; without a figure there is nothing."""
    wide, narrow = Estimate(value=0.9, low=0.8, high=0.95), Estimate(value=0.99, low=0.98, high=1.0)
    low, high = domain([wide, None, narrow, Estimate()])
    assert 0.7 < low < 0.8
    assert high == 1
    places = [float(found(interval(one, low, high), "dot")[0].attributes["cx"]) for one in (wide, narrow)]
    assert places[0] < places[1] < 140
    assert interval(Estimate(), low, high) == ""
    assert domain([]) == (0.0, 1.0)
