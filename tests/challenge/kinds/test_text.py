"""Texts: the same or not, and how similar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.challenge.histogram import grain
from extproc.challenge.kinds.text import MAX_MEASURED, measured, similarity
from tests.challenge.legs import QUICK, compared, evidence

LETTERS = st.text("abc", max_size=12)


def common(one, other):
    """The length of the longest common subsequence, by the textbook."""
    row = [0] * (len(other) + 1)
    for letter in one:
        before = row
        row = [0]
        for index, theirs in enumerate(other):
            row.append(before[index] + 1 if letter == theirs else max(before[index + 1], row[index]))
    return row[-1]


@QUICK
@given(LETTERS, LETTERS)
def test_similarity_is_the_share_of_characters_in_common(one, other):
    """Twice the longest common subsequence over the length of both; of nothing, 1."""
    expected = 2 * common(one, other) / (len(one) + len(other)) if one or other else 1.0
    assert similarity(one, other) == pytest.approx(expected)
    assert similarity(other, one) == similarity(one, other)


def test_white_space_around_a_text_is_nothing():
    """To agreement and to similarity."""
    found = compared([" yes ", "a b", "kitten"], ["yes\n", "a  b", "sitting"], kind="text")
    assert found.agreement == pytest.approx(1 / 3)
    assert evidence(found).similarity == {grain(1.0): 1, grain(6 / 7): 1, grain(8 / 13): 1}


def test_only_the_beginning_of_a_text_is_measured():
    """But all of it has to be the same to agree."""
    start = "x" * MAX_MEASURED
    found = compared([start + "a" * 100], [start + "b" * 100], kind="text")
    assert (found.agreement, found.compared.similarities) == (0.0, (1.0,))
    assert similarity("a" + start[1:], start) < 1.0


@pytest.mark.parametrize(
    ("texts", "characters"), [(0, 2048), (1, 2048), (4, 1024), (10, 647), (2048**2, 1), (2048**2 + 1, 1)]
)
def test_a_batch_is_given_the_time_of_one_pair(texts, characters):
    """So many characters of each of its texts are measured that their squares add up to no more, and one at least."""
    assert measured(texts) == characters
    assert texts * characters**2 <= MAX_MEASURED**2 or characters == 1


def test_of_four_texts_half_as_much_is_measured():
    """What differs behind it is all the same to their similarity."""
    start = "x" * (MAX_MEASURED // 2)
    one, other = start + "a", start + "b"
    assert compared([one], [other], kind="text").compared.similarities[0] < 1.0
    assert compared([one] * 4, [other] * 4, kind="text").compared.similarities == (1.0,) * 4


@pytest.mark.parametrize("text", ["\ud800", "\0", "é" * 10, "日本語", ""])
def test_any_text_is_like_itself(text):
    """Whatever its characters are."""
    assert similarity(text, text) == 1.0
