"""The pieces that all parts of the page are made of: sections, tables, badges, facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.challenge.page.markup import Markup, joined, tag
from extproc.challenge.wording import machine_moment, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from extproc.challenge.page.markup import Content

SIGNS: Final = {
    "promote": "✓",
    "pass": "✓",
    "reject": "✕",
    "fail": "✕",
    "collecting": "…",
    "inconclusive": "?",
}
"""A verdict is told by its sign and its word, so that no colour has to be seen."""


def section(title: str, *contents: Content, note: Content = None, level: int = 3) -> Markup:
    """Return a part of the report under a heading."""
    return tag(
        "section",
        tag(f"h{level}", title),
        tag("p", note, class_="note") if note else None,
        *contents,
        class_="card",
    )


def badge(verdict: str) -> Markup:
    """Return a verdict as a small label."""
    sign = tag("span", SIGNS.get(verdict, "?"), aria_hidden="true")
    return tag("span", sign, f" {verdict}", class_=f"badge {verdict}")


def table(
    caption: str, head: Sequence[Content], rows: Iterable[Sequence[Content]], class_: str | None = None
) -> Markup:
    """Return a table whose first column names the rows; where it is too wide, it alone scrolls."""
    return scrolling(
        caption,
        tag(
            "table",
            tag("caption", caption, class_="unseen"),
            tag("thead", tag("tr", *(tag("th", one, scope="col") for one in head))),
            tag("tbody", *(_row(row) for row in rows)),
            class_=class_,
        ),
    )


def scrolling(name: str, content: Content) -> Markup:
    """Return content that scrolls by itself, with a keyboard too."""
    return tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=name)


def _row(row: Sequence[Content]) -> Markup:
    return tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:]))


def facts(*pairs: tuple[str, Content]) -> Markup:
    """Return names with what they are."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", what)) for name, what in pairs), class_="facts")


def empty(text: str) -> Markup:
    """Return the words that stand where there is nothing to show."""
    return tag("p", text, class_="empty")


def time(at: float) -> Markup:
    """Return a moment."""
    return tag("time", moment(at), datetime=machine_moment(at))


def figured(figure: Content, between: Content) -> Markup:
    """Return a figure with its confidence sequence below it."""
    return joined(figure, tag("small", between))


def legs(champion: str, challenger: str) -> Markup:
    """Return which colour is whose."""
    return tag(
        "p",
        *(
            tag("span", tag("span", class_=f"swatch {leg}", aria_hidden="true"), f"{leg} ", tag("b", name))
            for leg, name in (("champion", champion), ("challenger", challenger))
        ),
        class_="legend",
    )
