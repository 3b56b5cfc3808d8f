"""The whole page."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from extproc.challenge.document import read
from extproc.challenge.page.comparison import agreement, differences
from extproc.challenge.page.decisions import decisions
from extproc.challenge.page.examples import examples
from extproc.challenge.page.guardrails import guardrails
from extproc.challenge.page.legs import errors, latency
from extproc.challenge.page.markup import Markup, joined, tag
from extproc.challenge.page.requests import requests
from extproc.challenge.page.section import SIGNS, badge, empty, facts, table, time
from extproc.challenge.page.segments import segments
from extproc.challenge.page.truth import truth
from extproc.challenge.wording import VERDICTS, count, number, setting, share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.challenge.document import Challenger, Report, Sampling
    from extproc.challenge.page.markup import Content

# Nothing is fetched, nothing runs, nothing is sent: the page's own styles and its icon are all there is.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='4' fill='%233b6fd4'/%3E"
    "%3Cpath d='M3 11 7 6l2.5 2.5L13 4' fill='none' stroke='white' stroke-width='1.8'/%3E%3C/svg%3E"
)


def page(document: Mapping[str, Any], refresh: int | None = None) -> str:
    """Return a report's document as a page of HTML, which asks for itself again every ``refresh`` seconds.

    Raises:
        msgspec.ValidationError: The document is no report.
    """
    report = read(document)
    title = f"{report.graph}: champion and challenger"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", http_equiv="refresh", content=str(refresh)) if refresh else None,
        tag("link", rel="icon", href=ICON),
        tag("title", title),
        tag("style", style()),
    )
    body = tag(
        "body", tag("main", _masthead(report), *_challengers(report), decisions(report.decisions)), _foot(report)
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


@cache
def style() -> Markup:
    """Return the page's style sheet."""
    return Markup(Path(__file__).with_name("style.css").read_text(encoding="utf-8"))


def _masthead(report: Report) -> Markup:
    return tag(
        "header",
        tag("p", "Champion and challenger", class_="eyebrow"),
        tag("h1", report.graph),
        facts(
            ("node", report.node or None),
            ("champion", report.champion),
            ("generation", report.generation or "unknown"),
            ("requests", count(report.eligible)),
            ("confidence", setting(report.confidence)),
            ("as of", time(report.at)),
        ),
        _overview(report) if len(report.challengers) > 1 else None,
        class_="masthead",
    )


def _overview(report: Report) -> Markup:
    return table(
        "All challengers",
        ("challenger", "verdict", "agree", "pairs"),
        [
            (
                tag("a", one.name, href=f"#c{index}"),
                badge(one.verdict),
                share(one.agreement.value),
                count(one.counts.paired),
            )
            for index, one in enumerate(report.challengers)
        ],
        class_="overview",
    )


def _challengers(report: Report) -> list[Markup]:
    if not report.challengers:
        return [empty("This challenge has no challenger.")]
    return [_challenger(f"c{index}", one, report) for index, one in enumerate(report.challengers)]


def _challenger(id_: str, one: Challenger, report: Report) -> Markup:
    parts: list[Content] = [
        _verdict(one, report),
        _sampling(one.sampling) if one.sampling else None,
        guardrails(id_, one, report.confidence),
        tag("div", *_beside(id_, one, report), class_="columns"),
        segments(one.segments),
        examples(one.examples),
    ]
    return tag("article", *parts, class_="contest", id=id_, aria_labelledby=f"{id_}-name")


def _beside(id_: str, one: Challenger, report: Report) -> list[Markup]:
    """Return the sections of which two stand side by side where there is room."""
    return [
        requests(f"{id_}-requests", one, report.eligible),
        agreement(one),
        *differences(id_, one),
        latency(id_, one, report.champion),
        errors(one),
        truth(one.truth),
    ]


def _verdict(one: Challenger, report: Report) -> Markup:
    id_ = f"c{report.challengers.index(one)}-name"
    return tag(
        "header",
        tag("span", SIGNS[one.verdict], class_="sign", aria_hidden="true"),
        tag(
            "div",
            tag("h2", tag("span", f"{VERDICTS[one.verdict]} ", class_="verdict"), one.name, id=id_),
            tag("p", one.reason or "Nothing is known yet.", class_="reason"),
            tag("p", _against(one, report), class_="about"),
        ),
        class_=f"hero {one.verdict}",
    )


def _against(one: Challenger, report: Report) -> Markup:
    return joined(
        tag("b", one.to or one.name),
        " against the champion ",
        tag("b", report.champion),
        f" · sees {setting(one.sample)} of the requests · {count(one.counts.paired)} pairs",
    )


def _sampling(one: Sampling) -> Markup | None:
    if not one.mismatch:
        return None
    said = (
        f"{share(one.observed)} of the requests were sampled, not {setting(one.expected)}: chance alone does not explain "
        f"that (e-value {number(one.e_value)}). Figures may rest on requests that are not like all others."
    )
    return tag("p", tag("b", "The sample is not as asked. "), said, class_="warning", role="note")


def _foot(report: Report) -> Markup:
    lost = ", ".join(f"{name.replace('_', ' ')} {count(times)}" for name, times in report.dropped.items() if times)
    return tag(
        "footer",
        tag("p", f"Not kept: {lost}." if lost else "Nothing that was to be kept was lost."),
        tag("p", "extproc · every figure and count is of one moment, and valid at any time one looks."),
    )
