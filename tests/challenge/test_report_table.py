"""The report in a terminal: complete within 100 columns, without colours, in ASCII, and whatever it holds."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from rich.cells import cell_len
from rich.console import Console

from extproc.commands import report_table
from extproc.commands.report_table import ReportTable
from tests.challenge import documents
from tests.challenge.reports import BRIEFLY
from tests.challenge.reports import documents as any_document

REPORTS = {
    "number": documents.report(documents.number()),
    "label": documents.report(documents.label()),
    "vector": documents.report(documents.vector()),
    "text": documents.report(documents.text()),
    "nothing": documents.nothing(),
    "no challenger": documents.report(),
    "hostile": documents.hostile(),
}
every_report = pytest.mark.parametrize("document", REPORTS.values(), ids=REPORTS)


def shown(document, width=120, encoding="utf-8", **terminal) -> str:
    """What a terminal of a width and an encoding is sent."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=stream, width=width, legacy_windows=False, **terminal).print(ReportTable(document))
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def words(text: str) -> str:
    """Text whatever its lines and columns."""
    return " ".join(text.split())


@every_report
@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_it_fits(document, width):
    """No line is wider than the terminal, nor than is readable."""
    assert max(cell_len(line) for line in shown(document, width).splitlines()) <= min(width, 100)


@every_report
def test_ascii_is_enough(document):
    """Where the terminal has no other signs, none are sent, and the words are the same."""
    plain = shown(document, encoding="ascii")
    assert plain.isascii()
    as_ascii = shown(document).translate(report_table.PLAIN)
    assert re.findall(r"[a-z0-9,.%]+", plain) == re.findall(r"[a-z0-9,.%]+", as_ascii)


def test_what_a_number_challenge_shows():
    """The verdict with its reason, each guardrail, each figure, and every count that is not zero."""
    text = words(shown(REPORTS["number"]))
    for said in (
        "✓ Promote gbm fraud-v2 against fraud-v1, sees 25% of the requests",
        "Every guardrail holds with 95% confidence: agreement, errors, latency and truth.",
        "requests paired 11,880 · unsampled 36,218 · shed 61 · timeout 14 · failed 22",
        "agreement min 97% 97.91% 97.38% – 98.36% 11,880 ✓ pass",  # noqa: RUF001 - the sign that is shown
        "latency max 1.5× 1.12× 1.06× – 1.19× 11,880 ✓ pass",  # noqa: RUF001
        "the champion with itself 99.29%",
        "the champion's noise taken off 98.62%",
        "mean +0.0042 · 8,123 of 35,640 values are equal",
        "champion 0.07% · challenger 0.32%",
        "challenger 20.6 ms 34.9 ms 43.5 ms 131 ms 11,880",
        "p95 ratio 1.12×",  # noqa: RUF001
        "joined 5,210 · waiting 17 · unusable 2",
        "Accuracy 91.2% 92.4% +1.21 pp",
        "reward of 840 requests 1.31: 1.35 where both agreed, 0.71 where not",
        "apac 870 96.20%",
        "champion 0.12 · challenger 0.93",
        "[2] champion 0.3 · challenger 0.95",
        "verdict gbm (verdict promote) forced",
        "not kept records over cap 31",
    ):
        assert said in text


def test_what_other_kinds_show():
    """A matrix of labels, cosines, similarities; what is missing for a verdict; a sample that is not as asked."""
    label = words(shown(REPORTS["label"]))
    assert "legitimate 8,900 120 230" in label
    assert "✕ Reject tiny" in label
    assert "? inconclusive" in label
    assert "truth: about 18,400 more samples should settle it" in label
    assert "! 81.0% of the requests were sampled, not 100%: chance alone does not explain it" in label
    assert "cosine 0.9981, p05 0.9912" in words(shown(REPORTS["vector"]))
    assert "41.0% exactly the same · similarity 0.872 on average" in words(shown(REPORTS["text"]))


def test_before_the_first_request():
    """What is not there yet is said in words."""
    text = words(shown(REPORTS["nothing"]))
    assert "… Still collecting: gbm" in text
    assert "requests none yet" in text
    assert "agreement no pair yet" in text
    assert "This challenge has no challenger." in shown(REPORTS["no challenger"])
    assert "none, so there is no verdict" in shown(documents.report(documents.number(guardrails={})))


def test_much_of_anything_is_cut():
    """As many labels, segments, examples and decisions as a terminal has room for; the rest is counted."""
    labels = [f"label{index}" for index in range(9)]
    segments = [documents.segment(f"segment{index}", 50, 0.9, 0.05, 0.0) for index in range(13)]
    examples = [documents.example(index, [1], [2]) for index in range(1, 9)]
    one = documents.label(
        confusion={"labels": labels, "cells": [[1] * 9] * 9, "other": 0}, segments=segments, examples=examples
    )
    text = shown(documents.report(one, decisions=documents.report()["decisions"] * 4))
    assert "and 3 labels more" in text
    assert "label6" not in text
    assert "and 3 segments more" in text
    assert text.count("6f1c9d52-0b7e") == 4
    assert text.count("promotion refused") + text.count("verdict gbm") == 5


@every_report
def test_colours_change_no_word(document):
    """A terminal with colours is sent the same text."""
    coloured = shown(document, force_terminal=True, color_system="truecolor")
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == shown(document)


def test_a_verdict_has_its_colour():
    """Green to promote, red to reject."""
    for name, code in (("number", "32"), ("label", "31")):
        coloured = shown(REPORTS[name], force_terminal=True, color_system="standard")
        assert re.search(rf"\x1b\[1;{code}m[✓✕] (Promote|Reject)", coloured)


def test_no_text_is_obeyed():
    """Escape sequences and markup in names, labels and answers stand there as text."""
    bad = "\x1b[2J\x1b]0;owned\x07[red]x[/red]\u202e"
    one = documents.number(
        name=bad,
        to=bad,
        reason=bad,
        examples=[documents.example(1, [bad], [{bad: bad}], requestId=bad, segment=bad)],
        segments=[documents.segment(bad, 5, 0.5, 0.1, 0.0)],
    )
    decision = {"at": 1.0, "event": bad, "challenger": bad, "verdict": bad}
    text = shown(documents.report(one, graph=bad, champion=bad, decisions=[decision], dropped={bad: 1}))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "[red]x[/red]" in text


@given(any_document())
@BRIEFLY
def test_any_report_is_shown(document):
    """Whatever figures a report holds or lacks."""
    text = shown(document, 80)
    assert not re.search(r"\b(None|nan|inf)\b", text)
    assert shown(document, 80) == text


def test_the_table_needs_no_numpy():
    """A report is shown by a command that is asked often: nothing heavy is imported for it."""
    import subprocess
    import sys

    code = "import extproc.commands.report_table, extproc.challenge.page.page, sys; print({'numpy', 'scipy'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert found.stdout.strip() == "set()"
