"""CEL's specification as data, run through ours and through Google's implementation."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.expr.oracle import FAILED, google, outcome, same

DOCUMENT = yaml.safe_load((Path(__file__).parent / "conformance.yaml").read_text())
BINDINGS = DOCUMENT.pop("common")
CASES = {f"{section}: {case['expr']!r}": case for section, cases in DOCUMENT.items() for case in cases}
SHARED = {name: case for name, case in CASES.items() if not case.get("ours")}
OURS = {name: case for name, case in CASES.items() if case.get("ours")}


def expected(case):
    return FAILED if case.get("error") else case["value"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_expression_has_the_value_the_specification_gives(case):
    """Value and type are the specification's, or both sides say there is none."""
    assert same(outcome(case["expr"], BINDINGS), expected(case))


@pytest.mark.parametrize("case", SHARED.values(), ids=SHARED)
def test_google_agrees_with_the_table(case):
    """The table itself is right: Google's implementation gives the same."""
    assert same(google(case["expr"], BINDINGS), expected(case))


@pytest.mark.parametrize("case", OURS.values(), ids=OURS)
def test_a_deviation_is_one(case):
    """What the table marks as our own is not what Google's implementation does; else the mark should go."""
    assert not same(google(case["expr"], BINDINGS), expected(case))
