"""The cells of a confusion matrix: named, bounded, and the same in any order."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.challenge import confusion
from extproc.challenge.confusion import MAX_CELLS, MAX_LABEL, OTHER, book, cap, cell
from extproc.challenge.evidence import Evidence, merged
from tests.challenge.legs import MANY


def booked(names):
    found: dict[str, int] = {}
    for name in names:
        book(found, name)
    return found


def capped(cells):
    found = dict(cells)
    cap(found)
    return found


def test_a_cell_is_the_json_of_both_labels():
    """In its compact text."""
    assert cell('"cat"', "1.5") == '["cat",1.5]'


@pytest.mark.parametrize("text", ['"' + "x" * 100_000 + '"', "[" + ",".join(["1"] * 500) + "]", "9" * 400])
def test_a_long_label_is_shortened_to_its_beginning_and_a_digest(text):
    """It stays JSON, short, and apart from another with the same beginning."""
    name = cell(text, text[:-2] + "7" + text[-1])
    one, other = msgspec.json.decode(name)
    assert len(one) == len(other) == MAX_LABEL + 1
    assert one[:60] == other[:60] == text.removeprefix('"')[:60]
    assert one != other
    assert cell(text, text) != name


def test_the_longest_label_that_is_kept():
    """Is MAX_LABEL characters of JSON; one more and it is shortened."""
    kept = msgspec.json.encode("é" * (MAX_LABEL - 2)).decode()
    assert cell(kept, "1") == f"[{kept},1]"
    assert "…" in cell(f'{kept[:-1]}é"', "1")


@pytest.mark.parametrize("label", ['"' + r"\"" * 80 + '"', '"' + "é\\\\" * 60 + '"', '{"' + "\\n" * 90 + '":1}'])
def test_a_shortened_label_is_json_wherever_it_is_cut(label):
    """In the middle of an escape, too."""
    assert msgspec.json.decode(cell(label, label))[0].endswith(msgspec.json.decode(cell(label, "1"))[0][-8:])


def test_few_cells_are_kept_as_they_are():
    """Up to the limit nothing is left out, and no OTHER is made."""
    names = [f"[{index},0]" for index in range(MAX_CELLS)]
    assert capped(booked(names)) == dict.fromkeys(names, 1)


def test_many_labels_make_a_bounded_matrix():
    """At most twice the limit while pairs are added, the limit and OTHER once merged; no pair is lost."""
    mine = Evidence()
    for index in range(10 * MAX_CELLS):
        book(mine.confusion, f"[{index},0]")
        assert len(mine.confusion) <= 2 * MAX_CELLS + 1
    total = Evidence()
    merged(total, mine)
    assert len(total.confusion) == MAX_CELLS + 1
    assert sum(total.confusion.values()) == 10 * MAX_CELLS
    assert total.confusion[OTHER] == 9 * MAX_CELLS


@MANY
@given(st.lists(st.integers(0, 12), max_size=60), st.integers(0, 60), st.randoms(use_true_random=False))
def test_the_same_cells_are_left_out_in_any_order(labels, cut, chance):
    """And the counts of those that are kept are complete, however the pairs were divided, ordered and merged."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(confusion, "MAX_CELLS", 3)
        names = [f"[{label},0]" for label in labels]
        whole = capped(booked(names))
        chance.shuffle(names)
        total = Evidence()
        for part in (names[:cut], names[cut:]):
            merged(total, Evidence(confusion=booked(part)))
        assert total.confusion == whole
        assert all(whole[name] == names.count(name) for name in whole if name != OTHER)
        assert sum(whole.values()) == len(names)
        assert len(whole.keys() - {OTHER}) == min(len(set(names)), 3)


def test_capping_twice_changes_nothing():
    """OTHER is never counted among the cells."""
    names = [f"[{index},1]" for index in range(3 * MAX_CELLS)]
    random.Random(1).shuffle(names)
    once = capped(booked(names))
    assert capped(once) == once
