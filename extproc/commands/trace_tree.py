"""A trace in a terminal: a tree of spans, each with its time, and its place in the whole as a bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from rich.text import Text

from extproc.commands.trace_facts import facts, happening, is_challenger, name, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions

    from extproc.commands.trace_nesting import Nesting, Node
    from extproc.telemetry.span import Event, Span

WIDEST: Final = 140  # columns; longer lines are hard to read
NARROWEST: Final = 40  # below, lines are longer than the terminal
BARS: Final = ((110, 24), (80, 16), (60, 8))  # from which width on a bar has how many columns
ROOM: Final = 16  # columns that a name has, however deep it stands
GUIDE: Final = 3  # columns of a level
MAX_EVENTS: Final = 20  # of a span: its decisions and attempts are fewer
LOST: Final = "parents missing"
PLAIN: Final = str.maketrans("├└│─█✕→•…", "|`|-#x>*~")
"""What stands for the signs of the tree in a terminal that has ASCII alone."""


class TraceTree:
    """A trace, to be printed by a rich console."""

    def __init__(self, nesting: Nesting) -> None:
        self._nesting = nesting

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Render it as wide as there is room, and no wider than is readable."""
        width = min(max(options.max_width, NARROWEST), WIDEST)
        for line in self._lines(console, width):
            line.rstrip()
            for segment in console.render(line, options.update(width=width, no_wrap=True, overflow="ignore")):
                yield _plain(segment) if options.ascii_only else segment

    def _lines(self, console: Console, width: int) -> Iterator[Text]:
        nesting = self._nesting
        columns = _Columns(nesting, width)
        lines = [line for root in nesting.roots for line in _tree(root, columns.levels)]
        lost = [line for orphan in nesting.orphans for line in _tree(orphan, columns.levels)]
        tree = columns.fitting([*lines, *lost])
        yield columns.head(tree)
        for line in lines:
            yield from columns.row(console, line, tree)
        if lost:
            yield Text(LOST, style="bold yellow")
        for line in lost:
            yield from columns.row(console, line, tree)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line, before it is folded: ``first`` and ``rest`` are the branches before its first and further lines."""

    first: str
    rest: str
    text: Text
    start: int | None
    duration: int | None = None
    style: str = ""


class _Columns:
    """Where things stand: the tree, start and duration in milliseconds, and the bar."""

    def __init__(self, nesting: Nesting, width: int) -> None:
        self._start, self._whole = nesting.start, max(nesting.end - nesting.start, 1)
        spans = [node.span for node in nesting.all()]
        figures = [self._since(span.start) for span in spans] + [_milliseconds(span.duration) for span in spans]
        figures += [self._since(event.at) for span in spans for event in span.events]
        self._numbers = max(map(len, [*figures, "start ms"]))
        self._bar = next((columns for least, columns in BARS if width >= least), 0)
        self._most = max(width - 2 * (self._numbers + 2) - (self._bar + 2 if self._bar else 0), ROOM + GUIDE)
        self.levels = (self._most - ROOM) // GUIDE  # of branches; what is deeper stands at the last of them

    def fitting(self, lines: Sequence[_Line]) -> int:
        """Return how many columns the tree takes: no more than it needs, and than there are."""
        wanted = max((len(line.first) + line.text.cell_len for line in lines), default=0)
        return min(max(wanted, len(LOST)), self._most)

    def head(self, tree: int) -> Text:
        """Return the line above all."""
        width = self._numbers
        return Text(f"{'':{tree}}  {'start ms':>{width}}  {'took ms':>{width}}", style="dim")

    def row(self, console: Console, line: _Line, tree: int) -> Iterator[Text]:
        """Yield a line, folded; numbers and bar stand in its first."""
        first, *rest = line.text.wrap(console, tree - len(line.first), overflow="fold") or [Text()]
        first.rstrip()
        gap = " " * max(tree - len(line.first) - first.cell_len, 0)
        yield Text.assemble((line.first, "dim"), first, gap, self._figures(line))
        for more in rest:
            yield Text.assemble((line.rest, "dim"), more)

    def _figures(self, line: _Line) -> Text:
        if line.start is None:
            return Text()
        width = self._numbers
        start = Text(f"  {self._since(line.start):>{width}}", style="dim")
        if line.duration is None:
            return start
        took = Text(f"  {_milliseconds(line.duration):>{width}}")
        bar = (f"  {self._drawn(line.start - self._start, line.duration)}", line.style or "cyan")
        return Text.assemble(start, took, bar)

    def _since(self, moment: int) -> str:
        return _milliseconds(moment - self._start)

    def _drawn(self, start: int, duration: int) -> str:
        """Return a span's place in the whole: at least one column, and never beyond the last."""
        if not self._bar:
            return ""
        before = min(start * self._bar // self._whole, self._bar - 1)
        length = max(round(duration * self._bar / self._whole), 1)
        return " " * before + "█" * min(length, self._bar - before)


def _tree(root: Node, levels: int) -> Iterator[_Line]:
    """Yield a node and all below it as lines, each with the branches that lead to it."""
    waiting: list[tuple[Node, str, str, str]] = [(root, "", "", "")]
    while waiting:
        node, first, rest, service = waiting.pop()
        span = node.span
        inner = rest + ("│" if node.below else " ").ljust(GUIDE)
        yield _Line(first, inner, _told(span, service), span.start, span.duration, _style(span))
        yield from _happenings(span.events, inner)
        here = rest[: (levels - 1) * GUIDE]
        branches = [("├─ ", "│  ")] * (len(node.below) - 1) + [("└─ ", "   ")]
        below = [
            (one, here + branch, here + line, span.service)
            for one, (branch, line) in zip(node.below, branches, strict=False)
        ]
        waiting += reversed(below)


def _happenings(events: Sequence[Event], before: str) -> Iterator[_Line]:
    for event in events[:MAX_EVENTS]:
        style = "yellow" if event.name in {"expression_failed", "exception"} else "dim"
        yield _Line(before, before + "  ", Text(f"• {happening(event)}", style=style), event.at)
    if (more := len(events) - MAX_EVENTS) > 0:
        yield _Line(before, before, Text(f"• … and {more} more", style="dim"), None)


def _told(span: Span, service: str) -> Text:
    """Return a span's name and facts; its service where that is another than its parent's."""
    told = Text()
    if span.service != service:
        told.append(f"{shown(span.service)}  ", style="dim")
    if span.failed:
        told.append("✕ ", style="bold red")
    told.append(name(span), style=_style(span) or "bold")
    if said := ", ".join(facts(span)):
        told.append(f"  {said}", style="red" if span.failed else "")
    return told


def _style(span: Span) -> str:
    if span.failed:
        return "bold red"
    return "magenta" if is_challenger(span) else ""


def _milliseconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:,.2f}"


def _plain(segment: Segment) -> Segment:
    text = segment.text.translate(PLAIN).encode("ascii", "replace").decode("ascii")
    return Segment(text, segment.style, segment.control)
