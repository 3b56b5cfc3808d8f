"""Keys: any text fits, and different texts stay apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.challenge.store.keys import KEY_BYTES, key_of


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=KEY_BYTES // 4))
def test_ordinary_texts_stay(text):
    """A text that every database takes is its own key."""
    assert key_of(text) == text


@given(st.text(max_size=3 * KEY_BYTES), st.text(max_size=3 * KEY_BYTES))
def test_keys_fit_and_tell_apart(one, other):
    """A key is short UTF-8 without NUL, and two texts have one key only when they are one."""
    data = key_of(one).encode()
    assert len(data) <= KEY_BYTES
    assert b"\0" not in data
    assert (key_of(one) == key_of(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x" * KEY_BYTES + "a", "x" * KEY_BYTES + "b"),
        ("\0", "?"),
        ("\ud800", "\udfff"),
        ("\ud800", "?"),
        ("é" * KEY_BYTES, "é" * KEY_BYTES + "é"),
    ],
)
def test_what_is_cut_or_replaced(one, other):
    """Texts that differ only in what is cut off or cannot be kept have different keys."""
    assert key_of(one) != key_of(other)


def test_the_longest_that_stays():
    """A text of the limit is kept; one byte more and it ends in its hash."""
    assert key_of("x" * KEY_BYTES) == "x" * KEY_BYTES
    longer = key_of("x" * (KEY_BYTES + 1))
    assert (len(longer), longer[:100]) == (KEY_BYTES, "x" * 100)
