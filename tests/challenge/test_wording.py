"""The words and digits by which a report is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.challenge import wording
from extproc.challenge.document import Bound

SHARES = [
    (None, "–"),  # noqa: RUF001 - the sign that is shown
    (0.0, "0%"),
    (1.0, "100%"),
    (0.5, "50.0%"),
    (0.9734, "97.34%"),
    (0.0112, "1.12%"),
    (0.99999, ">99.99%"),
    (0.00001, "<0.01%"),
    (0.05, "5.0%"),
]
NUMBERS = [
    (None, "–"),  # noqa: RUF001
    (0, "0"),
    (1, "1"),
    (1.5, "1.5"),
    (0.1234567, "0.1235"),
    (1234.5678, "1,235"),
    (123456.0, "123,456"),
    (12345678.0, "1.23e+07"),
    (0.00001234, "1.23e-05"),
    (-0.25, "-0.25"),
    (99.999, "100"),
]
TIMES = [(None, "–"), (0.4212, "0.42 ms"), (12.34, "12.3 ms"), (123.4, "123 ms"), (12_345.6, "12,346 ms")]  # noqa: RUF001
FIGURES = [
    ("agreement", 0.9812, None, "98.12%"),
    ("errors", 0.0, None, "0%"),
    ("latency", 1.2345, None, "1.23×"),  # noqa: RUF001
    ("truth", 0.0121, "accuracy", "+1.21 pp"),
    ("truth", -0.0121, None, "-1.21 pp"),
    ("truth", 0.5, "error", "+0.5"),
    ("other", -0.5, None, "-0.5"),
]
BOUNDS = [
    ("agreement", Bound(min=0.97), "at least 97%", 0.97),
    ("errors", Bound(max=0.005), "at most 0.5%", 0.005),
    ("latency", Bound(p95_ratio=1.25), "at most 1.25×", 1.25),  # noqa: RUF001
    ("truth", Bound(min_gain=0.0, metric="accuracy"), "at least 0 pp", 0.0),
    ("truth", Bound(min_gain=-0.01, metric="accuracy"), "at least -1 pp", -0.01),
    ("truth", Bound(min_gain=0.0, metric="brier"), "at least 0", 0.0),
    ("truth", Bound(min_gain=0.1, metric="error"), "at least +0.1", 0.1),
    ("later", Bound(), "–", None),  # noqa: RUF001
]


@pytest.mark.parametrize(("share", "said"), SHARES)
def test_share(share, said):
    """Near 0 and 1 there are more digits, and neither is said of what is not quite it."""
    assert wording.share(share) == said


@pytest.mark.parametrize(("number", "said"), NUMBERS)
def test_number(number, said):
    """Four significant digits, and none that say nothing."""
    assert wording.number(number) == said


@pytest.mark.parametrize(("time", "said"), TIMES)
def test_milliseconds(time, said):
    """Three digits or all before the point."""
    assert wording.milliseconds(time) == said


@pytest.mark.parametrize(("rail", "value", "metric", "said"), FIGURES)
def test_figure(rail, value, metric, said):
    """Each guardrail's figure is in its own unit."""
    assert wording.figure(rail, value, metric) == said


@pytest.mark.parametrize(("rail", "asked", "said", "limit"), BOUNDS)
def test_bound(rail, asked, said, limit):
    """What is asked has the digits that the graph has."""
    assert wording.bound(rail, asked) == said
    assert wording.limit(asked) == limit


def test_between():
    """The unit is said once; a bound that is not there is not made up."""
    assert wording.between("truth", 0.01, 0.02, "accuracy") == "+1.00 – +2.00 pp"  # noqa: RUF001
    assert wording.between("latency", 1.0, None) == "1.00× or more"  # noqa: RUF001
    assert wording.between("latency", None, None) == wording.UNKNOWN


@given(st.floats(-1e300, 1e300))
def test_a_number_is_what_it_says(value):
    """Within half a unit of its last digit: one per cent for those with an exponent, a thousandth for others."""
    said = float(wording.number(value).replace(",", ""))
    assert said == pytest.approx(value, rel=0.006, abs=0.00006)


@given(st.floats(0, 1))
def test_a_share_is_what_it_says(value):
    """Within half a unit of its last digit, and the signs < and > say on which side it is."""
    said = wording.share(value)
    bound = float(said.strip("<>%")) / 100
    assert value == pytest.approx(bound, abs=0.0006)
    assert not said.startswith("<") or 0 < value < bound
    assert not said.startswith(">") or bound < value < 1


def test_moments():
    """UTC, whatever the machine's own zone; times that no calendar has are its first or last."""
    assert wording.moment(1_764_068_400.5) == "2025-11-25 11:00:00 UTC"
    assert wording.machine_moment(1_764_068_400.5) == "2025-11-25T11:00:00Z"
    assert wording.moment(-1e300) == "1970-01-01 00:00:00 UTC"
    assert wording.moment(1e300) == "9999-12-31 23:59:59 UTC"


def test_a_value_is_cut_in_its_middle():
    """Both ends tell it from others."""
    assert wording.value("abc") == "abc"
    assert wording.value(["é", 1]) == '["é", 1]'
    assert wording.value("a" * 50 + "b" * 50, 23) == "a" * 10 + " … " + "b" * 10


@given(st.text())
def test_visible_text_moves_nothing(text):
    """No control character and none that turns the direction of writing is left; everything else stays."""
    shown = wording.visible(text)
    assert len(shown) == len(text)
    assert not any(char < " " or "\x7f" <= char <= "\x9f" or char in "\u202e\u2066\u200f" for char in shown)
    assert all(after in (before, " ", "\ufffd") for before, after in zip(text, shown, strict=True))
