"""What became of every request: a bar of all of them, and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from extproc.challenge.page.markup import Markup, joined, tag
from extproc.challenge.page.plot import WIDTH, Described, picture
from extproc.challenge.page.section import empty, section, table
from extproc.challenge.wording import FATES, count, share

if TYPE_CHECKING:
    from extproc.challenge.document import Challenger, Counts

BAR: Final = 30.0


def requests(id_: str, challenger: Challenger, eligible: int) -> Markup:
    """Return the section."""
    title = "What became of the requests"
    if not eligible:
        return section(title, empty("No request has reached this challenge yet."))
    counts: dict[str, int] = msgspec.to_builtins(challenger.counts)
    there = {name: times for name, times in counts.items() if times}
    absent = [name for name in counts if name not in there]
    return section(
        title,
        stacked(id_, challenger.counts),
        table(
            "Requests by what became of them",
            ("", "requests", "share"),
            [(_name(name), count(times), share(times / eligible)) for name, times in there.items()],
            class_="counts",
        ),
        tag("p", f"None: {', '.join(_words(name) for name in absent)}.", class_="note") if absent else None,
        note=f"{count(eligible)} reached the challenge, and each is in exactly one of these.",
    )


def stacked(id_: str, counts: Counts) -> Markup:
    """Return a bar that is parted like the counts."""
    numbers: dict[str, int] = msgspec.to_builtins(counts)
    whole = max(sum(numbers.values()), 1)
    parts, start = [], 0.0
    for name, times in numbers.items():
        width = times / whole * WIDTH
        if times:
            title = tag("title", f"{_words(name)}: {count(times)}")
            parts.append(tag("rect", title, class_=f"fate {name}", x=start, y=0, width=width, height=BAR))
        start += width
    said = ", ".join(f"{_words(name)} {count(times)}" for name, times in numbers.items() if times)
    return picture(Described(id_, "Requests by what became of them", f"{said}."), *parts, height=BAR)


def _name(name: str) -> Markup:
    swatch = tag("span", class_=f"swatch {name}", aria_hidden="true")
    return joined(swatch, _words(name), tag("small", FATES[name]))


def _words(name: str) -> str:
    return name.replace("_", " ")
