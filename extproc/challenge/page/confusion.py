"""Which label the challenger gives where the champion gives which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.challenge.page.markup import Markup, tag
from extproc.challenge.page.section import empty, scrolling, section
from extproc.challenge.wording import count, share, value

if TYPE_CHECKING:
    from extproc.challenge.document import Confusion

LONGEST: Final = 32  # characters of a label: what is longer is shown when pointed at
CAPTION: Final = "Labels of both legs: rows are the champion's, columns the challenger's"


def confusion(one: Confusion) -> Markup:
    """Return the section with the matrix."""
    if not one.labels:
        return section("Labels", empty("No pair of labels yet."))
    head = tag(
        "tr",
        tag("th", "champion ↓ challenger →", scope="col", class_="corner"),
        *(_label(label, "col") for label in one.labels),
    )
    rows = [_row(index, label, one.cells[index]) for index, label in enumerate(one.labels)]
    matrix = tag("table", tag("caption", CAPTION, class_="unseen"), tag("thead", head), tag("tbody", *rows))
    return section(
        "Labels",
        scrolling(CAPTION, tag("div", matrix, class_="confusion")),
        tag("p", f"{count(one.other)} pairs with rarer labels are left out.", class_="note") if one.other else None,
        note="Rows are the champion's labels, columns the challenger's, shaded by their share of the row.",
    )


def _row(index: int, label: str, cells: tuple[int, ...]) -> Markup:
    whole = max(sum(cells), 1)
    return tag(
        "tr",
        _label(label, "row"),
        *(_cell(times, times / whole, agrees=column == index) for column, times in enumerate(cells)),
    )


def _label(label: str, scope: str) -> Markup:
    short = value(label, LONGEST)
    return tag("th", short, scope=scope, title=label if short != label else None)


def _cell(times: int, part: float, *, agrees: bool) -> Markup:
    if not times:
        return tag("td", "0", class_="none")
    return tag(
        "td",
        tag("b", count(times)),
        tag("small", share(part)),
        class_="agree" if agrees else "differ",
        style=f"--heat:{part:.3f}",
    )
