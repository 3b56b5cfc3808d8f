"""Numbers within a tolerance, and their differences."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import inf, isfinite, nan

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from extproc.challenge.evidence import UNITS, units
from extproc.challenge.histogram import bucket
from extproc.challenge.kinds.number import agree, difference
from tests.challenge.legs import FINITE, MANY, NUMBERS, QUICK, compared, evidence

HUGE = 10**400

AGREED = [
    (1.0, 1.05, 0.05, True),
    (1.05, 1.0, 0.05, True),
    (1.0, 1.1, 0.1, True),
    (0.1, 0.4, 0.3, True),
    (-1.0, -1.05, 0.05, True),
    (123456.7, 123456.75, 0.05, True),
    (1.0, 1.0500001, 0.05, False),
    (0.3, 0.1 + 0.2, 0.0, False),
    (0.3, 0.1 + 0.2, 1e-15, True),
    (1, 1.0, 0.0, True),
    (0.0, -0.0, 0.0, True),
    (2**60, 2**60 + 1, 0.0, False),
    (2**60, 2**60 + 1, 1.0, True),
    (2**60, 2**60 + 2, 1.0, False),
    (2**53 + 1, 2.0**53, 0.0, False),
    (2**53 + 1, 2.0**53, 1.0, True),
    (HUGE, HUGE, 0.0, True),
    (HUGE, HUGE + 1, 0.0, False),
    (HUGE, HUGE + 1, 1.0, True),
    (HUGE, 1.5, 1e308, False),
    (HUGE, 1.0, 1e308, False),
    (HUGE, 2 * HUGE, 1e308, False),
    (1.7e308, -1.7e308, 1e308, False),
    (1.7e308, 1.7e308, 0.0, True),
    (1.7e308, 1.6e308, 1.1e307, True),
    (nan, nan, 1e308, False),
    (inf, inf, 1e308, False),
    (nan, 1, 1.0, False),
    (5e-324, 0.0, 0.0, False),
]


@pytest.mark.parametrize(("champion", "challenger", "tolerance", "agreed"), AGREED, ids=str)
def test_two_numbers_agree_within_a_tolerance(champion, challenger, tolerance, agreed):
    """As decimals and whole numbers do: doubles are given their rounding, and integers nothing."""
    assert agree(champion, challenger, tolerance) is agreed
    assert agree(challenger, champion, tolerance) is agreed


CENTS = st.decimals(-(10**6), 10**6, places=4)


@MANY
@given(CENTS, st.decimals(0, 1000, places=4))
def test_decimals_at_their_tolerance_agree_and_beyond_it_do_not(one, tolerance):
    """To the last of their digits, though no double is exactly one of them."""
    beyond = tolerance + Decimal("0.0001")
    for sign in (1, -1):
        assert agree(float(one), float(one + sign * tolerance), float(tolerance))
        assert not agree(float(one), float(one + sign * beyond), float(tolerance))


@MANY
@given(NUMBERS, NUMBERS, st.floats(0, 1e300))
@example(2**1024, 1.7976931348623157e308, 1e300)
def test_agreement_is_what_exact_arithmetic_says(one, other, tolerance):
    """But for a band of rounding, a few units in the last place wide."""
    apart = abs(Fraction(one) - Fraction(other))
    band = (abs(Fraction(one)) + abs(Fraction(other)) + Fraction(tolerance)) * Fraction(1, 2**51)
    if apart > Fraction(tolerance) + band or (not tolerance and apart):
        assert not agree(one, other, tolerance)
    elif apart <= tolerance and difference(one, other) is not None:
        assert agree(one, other, tolerance)


@MANY
@given(NUMBERS, NUMBERS)
def test_a_difference_is_exact_or_the_nearest_double(one, other):
    """And the same with the other sign the other way round; None when it is beyond all doubles."""
    found = difference(one, other)
    assert found == (None if (back := difference(other, one)) is None else -back)
    if found is None:
        assert not isfinite(float(other) - float(one))
    elif isinstance(found, int):
        assert found == Fraction(other) - Fraction(one)
    else:
        assert found == pytest.approx(float(Fraction(other) - Fraction(one)), rel=1e-15)


def test_differences_go_to_the_side_on_which_the_challenger_is():
    """Above, below, or equal; the sum is exact."""
    found = evidence(compared([1, 2, 3, 10**6], [1.5, 2, 2.75, 10**6 + 7]))
    assert found.above == {bucket(0.5): 1, bucket(7): 1}
    assert found.below == {bucket(0.25): 1}
    assert (found.equal, found.differences, found.boundless) == (1, 4, 0)
    assert found.difference_sum == units(7.25)


def test_a_difference_beyond_doubles_is_a_disagreement_in_no_sum():
    """It is counted apart; huge integers that are near each other have one like others."""
    pairs = [(1.7e308, -1.7e308), (HUGE, 1), (1.5, HUGE), (HUGE, HUGE + 3)]
    found = compared([one for one, _ in pairs], [other for _, other in pairs])
    assert found.agreement == 0.0
    summed = evidence(found)
    assert (summed.boundless, summed.differences, summed.difference_sum) == (3, 1, units(3))


@QUICK
@given(st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=20))
def test_differences_are_numpy_s(pairs):
    """All of them, in order."""
    champion, challenger = (np.array(side) for side in zip(*pairs, strict=True))
    with np.errstate(over="ignore"):
        expected = challenger - champion
    found = compared(champion.tolist(), challenger.tolist()).compared.differences
    assert [inf if one is None else one for one in found] == [one if np.isfinite(one) else inf for one in expected]


@MANY
@given(FINITE | st.integers(-(2**80), 2**80))
def test_units_are_exact_but_for_what_is_smaller_than_one(size):
    """The nearest whole number of them, and of opposite sizes the opposite."""
    assert abs(units(size) - Fraction(size) * UNITS) <= Fraction(1, 2)
    assert units(-size) == -units(size)
    if abs(size) >= 2**-12 or not size:
        assert Fraction(units(size), UNITS) == Fraction(size)
