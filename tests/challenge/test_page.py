"""The page of a report: complete, readable by machines, and made of nothing but itself."""

import copy
import re
from collections import Counter
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.challenge.page.page import page, style
from tests.challenge import documents
from tests.challenge.markup import elements
from tests.challenge.reports import BRIEFLY
from tests.challenge.reports import documents as any_document

REPORTS = {
    "number": documents.report(documents.number()),
    "label": documents.report(documents.label()),
    "vector": documents.report(documents.vector()),
    "text": documents.report(documents.text()),
    "several": documents.report(documents.number(), documents.label(), documents.text()),
    "nothing": documents.nothing(),
    "no challenger": documents.report(),
    "hostile": documents.hostile(),
}
every_report = pytest.mark.parametrize("document", REPORTS.values(), ids=REPORTS)


def text_of(document) -> str:
    (body,) = (element for element in elements(page(document)) if element.tag == "body")
    return body.text


@every_report
def test_nothing_comes_from_elsewhere(document):
    """No element fetches or runs anything, and the page's own policy would not let it."""
    found = elements(page(document))
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & {element.tag for element in found}
    addresses = [value for element in found for name, value in element.attributes.items() if name in {"src", "href"}]
    assert all(address.startswith(("#", "data:image/svg+xml,")) for address in addresses)
    assert not any(name.startswith("on") for element in found for name in element.attributes)
    policy = next(one.attributes["content"] for one in found if "http-equiv" in one.attributes)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert "url(" not in style()
    assert "@import" not in style()


@every_report
def test_it_can_be_read_without_being_seen(document):
    """Pictures are described, tables are named, headings go one level down at a time, and names are unique."""
    found = elements(page(document))
    named = Counter(element.attributes["id"] for element in found if "id" in element.attributes)
    assert set(named.values()) <= {1}
    mentioned = [element.attributes.get("aria-labelledby", "").split() for element in found]
    assert {name for names in mentioned for name in names} <= set(named)
    for picture in (one for one in found if one.tag == "svg" and one.attributes.get("role") == "img"):
        inner = [element for element in found if picture in element.parents[-1:]]
        assert [element.tag for element in inner[:2]] == ["title", "desc"]
        assert all(element.text for element in inner[:2])
    for table in (one for one in found if one.tag == "table"):
        assert any(one.tag == "caption" and one.text for one in found if table in one.parents)
    levels = [int(element.tag[1]) for element in found if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_what_a_number_challenge_shows():
    """The verdict with its reason, each guardrail, each figure, and every count."""
    shown = text_of(REPORTS["number"])
    for said in (
        "Promote gbm",
        "Every guardrail holds with 95% confidence: agreement, errors, latency and truth.",
        "asked at least 97%",
        "Between 97.38% and 98.36% after 11,880 samples.",
        "asked at most 1.5×",  # noqa: RUF001 - the sign that is shown
        "asked at least 0 pp",
        "48,211 reached the challenge",
        "None: unsupported, too large, interrupted.",
        "98.62%98.01% – 99.15%",  # noqa: RUF001 - agreement beyond noise
        "8,123 of 35,640 values are exactly equal. They agree within 0.05",
        "+0.0042",
        "38.8 ms",
        "0.32%0.18% – 0.56%",  # noqa: RUF001 - the challenger's errors
        "5,210 labels joined to both legs, 17 waiting for their request, 2 that fit no prediction.",
        "+1.21 pp",
        "Reward of 840 requests: 1.31 on average; 1.35 where both legs agreed, 0.71 where not.",
        "apac",
        "6f1c9d52-0b7e-4c1f-9a55-000000000002",
        '{"instances": [[1, 2, 3]]}',
        "promotion refused gbm",
        "agreement.low 0.955",
        "Asked: every guardrail at 95% confidence.",
        "Not kept: records over cap 31.",
    ):
        assert said in shown


def test_every_count_is_shown():
    """What is there is a row with its share, and what is not is named: together they are all counts."""
    found = elements(page(REPORTS["number"]))
    counts = REPORTS["number"]["challengers"][0]["counts"]
    (table,) = (one for one in found if one.tag == "table" and one.attributes.get("class") == "counts")
    rows = [one for one in found if one.tag == "tr" and table in one.parents][1:]
    assert len(rows) == sum(bool(times) for times in counts.values())
    for name, times in counts.items():
        words = name.replace("_", " ")
        assert any(row.text.startswith(words) and f"{times:,}" in row.text for row in rows) == bool(times)


def test_parts_of_the_bar_are_as_wide_as_the_counts():
    """The stacked bar is parted in proportion, from end to end."""
    found = elements(page(REPORTS["number"]))
    counts = REPORTS["number"]["challengers"][0]["counts"]
    parts = {one.attributes["class"].split()[1]: one for one in found if one.attributes.get("class", "")[:5] == "fate "}
    widths = {name: float(part.attributes["width"]) for name, part in parts.items()}
    assert sum(widths.values()) == pytest.approx(480, abs=0.1)
    for name, width in widths.items():
        assert width == pytest.approx(480 * counts[name] / 48_211, abs=0.01)


def test_a_confusion_matrix():
    """Every cell with its count and its share of the row, agreement told from disagreement."""
    found = elements(page(REPORTS["label"]))
    cells = [one for one in found if one.tag == "td" and one.attributes.get("class") in {"agree", "differ"}]
    assert [cell.text for cell in cells[:3]] == ["8,90096.22%", "1201.30%", "2302.49%"]
    assert [cell.attributes["class"] for cell in cells] == ["agree", *["differ"] * 3] * 2 + ["agree"]
    assert cells[0].attributes["style"] == "--heat:0.962"
    assert "24 pairs with rarer labels are left out." in text_of(REPORTS["label"])


def test_a_sample_that_is_not_as_asked_is_warned_of():
    """The warning names both shares; without a mismatch there is none."""
    assert "81.0% of the requests were sampled, not 100%" in text_of(REPORTS["label"])
    assert "chance alone" not in text_of(REPORTS["number"])


def test_before_the_first_request():
    """What is not there yet is said in words."""
    shown = text_of(REPORTS["nothing"])
    for said in (
        "Still collecting: gbm",
        "No request has reached this challenge yet.",
        "No sample yet.",
        "No pair yet.",
        "drawn once it has been looked at twice",
        "No answer of both legs has been timed yet.",
        "No label or reward has come yet",
        "No pair that disagrees is kept.",
        "Nothing has been decided yet.",
        "Nothing that was to be kept was lost.",
    ):
        assert said in shown
    assert "This challenge has no challenger." in text_of(REPORTS["no challenger"])


def test_without_guardrails_there_is_no_verdict_to_come_to():
    """The page says why."""
    assert "so there is no verdict to come to" in text_of(documents.report(documents.number(guardrails={})))


def test_several_challengers_are_listed_first():
    """Each with its verdict, and a link to its part of the page."""
    found = elements(page(REPORTS["several"]))
    links = {one.attributes["href"]: one.text for one in found if one.tag == "a"}
    assert links == {"#c0": "gbm", "#c1": "tiny", "#c2": "writer"}
    assert {"c0", "c1", "c2"} <= {one.attributes.get("id") for one in found}


def test_the_worst_pairs_come_first_and_not_all():
    """Those that agree least, the newer first; how many are left out is said."""
    many = [documents.example(number, [1], [2], agreement=number % 3 / 3) for number in range(1, 40)]
    shown = text_of(documents.report(documents.number(examples=many)))
    ids = [int(found) for found in re.findall(r"-9a55-(\d{12})", shown)]
    assert ids == [3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36]
    assert "27 more are in the report as JSON." in shown


def test_a_page_that_asks_for_itself_again():
    """Only where that is wanted."""
    refreshing = [one for one in elements(page(REPORTS["number"], refresh=5)) if one.attributes.get("http-equiv")]
    assert [one.attributes["content"] for one in refreshing][1:] == ["5"]
    assert 'http-equiv="refresh"' not in page(REPORTS["number"])


def test_text_from_outside_stays_text():
    """Whatever labels, segments, ids and bodies hold, the page has the elements that plain ones have."""
    plain = copy.deepcopy(REPORTS["hostile"])
    harmless = re.sub(r"[^a-z]", "x", documents.HOSTILE)
    plain = msgspec.json.decode(
        msgspec.json.encode(plain).replace(msgspec.json.encode(documents.HOSTILE)[1:-1], harmless.encode())
    )
    assert [one.tag for one in elements(page(REPORTS["hostile"]))] == [one.tag for one in elements(page(plain))]


def test_text_cannot_turn_or_hide_what_is_around_it():
    """Characters that change the direction of writing, and control characters, are shown as such."""
    shown = page(documents.report(documents.number(name="a\u202eb\x00c\x1b[31md\u2066e")))
    assert "a\ufffdb\ufffdc\ufffd[31md\ufffde" in shown


@given(any_document())
@BRIEFLY
def test_any_report_is_shown(document):
    """Whatever figures a report holds or lacks, there is a well-formed page without words of Python in it."""
    shown = page(document)
    elements(shown)
    assert page(document) == shown
    assert not re.search(r"[\"=> ](nan|inf)[\"< ]", shown)


@pytest.mark.parametrize("document", [{}, {"graph": 1, "at": 0}, {"graph": "a", "at": "now"}, []], ids=str)
def test_what_is_no_report_is_refused(document):
    """And the error says where it is none."""
    with pytest.raises(msgspec.ValidationError):
        page(document)


def colours(scheme: str) -> dict[str, str]:
    """The style sheet's colours: those of the dark scheme are written over the light ones."""
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", style().partition("@media")[0]))
    dark = re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", style().partition("@media")[2].partition("* {")[0])
    return found | dict(dark) if scheme == "dark" else found


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


TEXT_ON = [("text", "page"), ("text", "card"), ("muted", "page"), ("muted", "card"), ("champion", "page")]
TINTS = [(tone, f"{tone}-tint") for tone in ("pass", "fail", "open", "unsure")] + [("fail", "card"), ("pass", "card")]
LINES = [("champion", "card"), ("challenger", "card"), ("faint", "card")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [(*pair, 4.5) for pair in TEXT_ON + TINTS] + [(*pair, 3.0) for pair in LINES],
    ids=str,
)
def test_contrast(scheme, front, back, least):
    """Text stands out from what is behind it by 4.5 to 1, lines by 3 to 1 (WCAG 2.2, 1.4.3 and 1.4.11)."""
    known = colours(scheme)
    lighter, darker = sorted((luminance(known[front]), luminance(known[back])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= least


@pytest.mark.parametrize("label", ["x" * 90, '"><script>' * 9], ids=["long", "hostile"])
def test_a_long_label_is_shortened_and_whole_when_pointed_at(label):
    """A label may be as long as a text, and may want to leave the attribute that it stands in."""
    one = documents.label(confusion={"labels": [label], "cells": [[1]], "other": 0})
    headers = [one for one in elements(page(documents.report(one))) if one.tag == "th" and "title" in one.attributes]
    assert [header.attributes["title"] for header in headers] == [label] * 2
    assert all(len(header.text) <= 32 for header in headers)


@given(st.integers(0, 3), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_no_text_changes_the_elements(which, text):
    """A name of any text makes the same elements as a plain name."""
    names = ["gbm", "gbm", "gbm", "gbm"]
    names[which] = text
    changed = dict(zip(("name", "to", "reason"), names, strict=False))
    document = documents.report(documents.number(**changed), graph=names[3])
    plain = documents.report(documents.number(name="gbm", to="gbm", reason="gbm"), graph="gbm")
    assert [one.tag for one in elements(page(document))] == [one.tag for one in elements(page(plain))]
