"""A challenge's report in a terminal: within 100 columns, as clear without colours, and in ASCII where it must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.padding import Padding
from rich.rule import Rule
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from extproc.challenge.document import read
from extproc.challenge.wording import VERDICTS, count, moment, number, setting, share
from extproc.commands.report_rows import COLOURS, SIGNS, rows, said

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console, ConsoleOptions, RenderableType

    from extproc.challenge.document import Challenger, Decision, Report
    from extproc.commands.report_rows import Part

WIDEST: Final = 100  # columns; longer lines are hard to read
KEY: Final = 12  # columns for the names of the parts
BESIDE: Final = 92  # columns from which on a part has room beside its name; else it stands below
REASON: Final = 400  # characters
DECISIONS: Final = 5
PLAIN: Final = str.maketrans("–·×→✓✕…−↓", "-|x>+x~-v")  # noqa: RUF001 - what ASCII has of the same width
"""What stands for the signs of the report in a terminal that has ASCII alone."""


class ReportTable:
    """A report's document, to be printed by a rich console."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._report = read(document)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Render it as wide as there is room, and no wider than is readable."""
        width = min(options.max_width, WIDEST)
        shown = _report(self._report, beside=width >= BESIDE)
        for segment in console.render(shown, options.update(width=width)):
            yield _plain(segment) if options.ascii_only else segment


def _plain(segment: Segment) -> Segment:
    text = segment.text.translate(PLAIN).encode("ascii", "replace").decode("ascii")
    return Segment(text, segment.style, segment.control)


def _report(report: Report, *, beside: bool) -> Group:
    parts: list[RenderableType] = [_heading(report)]
    if not report.challengers:
        parts.append(Text("This challenge has no challenger.", style="dim"))
    for one in report.challengers:
        parts += [Text(), _verdict(one, report), Text(), _keyed(rows(one), beside=beside)]
    lost = [f"{said(name).replace('_', ' ')} {count(times)}" for name, times in report.dropped.items() if times]
    closing: list[Part] = [("decisions", _decisions(report)), ("not kept", Text(" · ".join(lost)) if lost else None)]
    return Group(*parts, _keyed(closing, beside=beside))


def _heading(report: Report) -> Group:
    facts = (
        ("node", report.node),
        ("champion", report.champion),
        ("generation", report.generation),
        ("requests", count(report.eligible)),
        ("", moment(report.at)),
    )
    told = Text(" · ").join(Text(f"{name} {said(what)}".strip()) for name, what in facts if what)
    title = Text.assemble((said(report.graph), "bold cyan"), ("  champion and challenger", "dim"))
    return Group(Rule(title, align="left", style="cyan"), told)


def _verdict(one: Challenger, report: Report) -> Group:
    colour = COLOURS[one.verdict]
    title = Text.assemble(
        (f"{SIGNS[one.verdict]} {VERDICTS[one.verdict]} {said(one.name)}", f"bold {colour}"),
        (f"  {said(one.to)} against {said(report.champion)}, sees {setting(one.sample)} of the requests", "dim"),
    )
    lines = [title, Text(said(one.reason, REASON) or "Nothing is known yet.")]
    if one.sampling is not None and one.sampling.mismatch:
        told = f"{share(one.sampling.observed)} of the requests were sampled, not {setting(one.sampling.expected)}: "
        lines.append(
            Text(f"! {told}chance alone does not explain it (e-value {number(one.sampling.e_value)})", style="yellow")
        )
    return Group(*lines)


def _keyed(found: list[Part], *, beside: bool) -> RenderableType:
    """Return parts below each other, their names before or above them; what is None is left out."""
    if not beside:
        above = [(Text(name, style="dim"), Padding(what, (0, 0, 0, 2))) for name, what in found if what is not None]
        return Group(*(line for part in above for line in part))
    grid = Table.grid(padding=(0, 2, 1, 0), expand=True)
    grid.add_column(width=KEY, style="dim", no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    for name, what in found:
        if what is not None:
            grid.add_row(name, what)
    return grid


def _decisions(report: Report) -> RenderableType | None:
    newest = sorted(report.decisions, key=lambda one: -one.at)[:DECISIONS]
    return Group(*(_decision(one) for one in newest)) if newest else None


def _decision(one: Decision) -> Text:
    told = [one.event, one.challenger, f"(verdict {one.verdict})" if one.verdict else None]
    forced = (" forced", "yellow") if one.forced else ""
    words = " ".join(said(word) for word in told if word)
    return Text.assemble((moment(one.at), "dim"), f"  {words}", forced)
