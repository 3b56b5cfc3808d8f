"""The tour for people: readable at 80 columns, in colour where there is some."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from extproc.commands.report_table import ReportTable
from extproc.demo.calls import called
from extproc.demo.curl import asking, folded, words
from extproc.demo.outlook import outlook, outlook_alone
from extproc.demo.shares import quality, quality_alone, shares
from extproc.demo.short import shortened
from extproc.demo.why import why

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from extproc.demo.played import Played
    from extproc.demo.scene import Crowd, Request, Scene, Trial
    from extproc.demo.trial import Tried

INDENT: Final = "  "
DEEPER: Final = "    "
KEY: Final = 8  # columns for the words answer, model, route, why
PROMPT: Final = "$ "
SHOWN: Final = 5  # kinds of deviations of a crowd: enough to see what is wrong


class PeopleTeller:
    """Writes to a console; requests go to ``address``, and some to ``admin``: urls."""

    def __init__(self, address: str, admin: str, console: Console) -> None:
        self._address = address
        self._admin = admin
        self._console = console

    def scene(self, scene: Scene) -> None:
        """A heading, and what to look for."""
        self._console.print()
        named = Text.assemble((scene.title, "bold cyan"), (f"  {scene.graph}" if scene.graph else "", "dim"))
        self._console.print(Rule(named, align="left", style="cyan"))
        self._hanging(Text(INDENT), Text(scene.about))

    def asked(self, scene: Scene, played: Played) -> None:
        """The call, the answer and the reason."""
        ask, answer = played.ask, played.answer
        self._title(ask.title)
        self._picture(ask.picture)
        self._call(self._address, ask.request)
        self._field("answer", outlook(played, scene.labels))
        for name in ask.expected.headers:
            self._field(name, Text(answer.headers.get(name, "(none)")))
        if answer.calls:
            self._field("models" if len(answer.calls) > 1 else "model", called(answer.calls, scene.between))
        alone = played.alone.items()
        self._table("alone", [(Text(model), *outlook_alone(said, ask.truth, scene.labels)) for model, said in alone])
        if answer.route:
            self._field("route", Text(answer.route))
        self._reason(why(ask, answer), played.deviations)

    def crowd(self, scene: Scene, crowd: Crowd, played: Sequence[Played], deviations: Sequence[str]) -> None:
        """The shares as bars, and the reason."""
        del scene
        self._title(crowd.title)
        ascii_only = not self._console.encoding.lower().startswith("utf")
        for line in shares(crowd, played, ascii_only=ascii_only):
            self._console.print(Text(DEEPER) + line)
        if crowd.alone:
            self._field("in all", quality(played))
            self._table("alone", [(Text(model), quality_alone(played, model)) for model in crowd.alone])
        self._reason(crowd.why, _summary([*(one.deviations for one in played), deviations]))

    def trial(self, scene: Scene, trial: Trial, tried: Tried, deviations: Sequence[str]) -> None:
        """What was told, the report, and the reason."""
        self._title(trial.title)
        self._call(self._admin, tried.feedback)
        self._field("answer", Text(shortened(tried.taken)))
        self._command(asking(f"report {scene.name}", self._admin))
        self._console.print()
        self._console.print(Padding(ReportTable(tried.document), (0, 0, 0, len(DEEPER))))
        self._console.print()
        self._reason(trial.why, deviations)

    def _title(self, title: str) -> None:
        self._console.print()
        self._console.print(Text(INDENT + title, style="bold"))

    def _picture(self, picture: str) -> None:
        for line in picture.splitlines():
            self._console.print(Text(DEEPER + line.rstrip(), style="yellow"))

    def _call(self, address: str, request: Request) -> None:
        parts = words(address, request, shortened(request.body))
        self._command(*folded(parts, self._console.width - len(DEEPER + PROMPT)))

    def _command(self, *lines: str) -> None:
        for number, line in enumerate(lines):
            start = Text(DEEPER) + Text(PROMPT if number == 0 else " " * len(PROMPT), style="dim")
            told = line.lstrip()
            self._hanging(start + Text(" " * (len(line) - len(told))), Text(told, style="cyan"))

    def _field(self, key: str, value: Text) -> None:
        self._hanging(Text(DEEPER) + Text(f"{key:<{KEY}}", style="dim"), value)

    def _table(self, key: str, lines: Sequence[tuple[Text, ...]]) -> None:
        """Lines in columns, the key before the first; an empty column takes no room."""
        widths = [max(cell.cell_len for cell in column) for column in zip(*lines, strict=True)]
        for line in lines:
            cells = [cell + Text(" " * (width - cell.cell_len)) for cell, width in zip(line, widths, strict=True)]
            self._field(key, Text("  ").join(cell for cell in cells if cell))
            key = ""

    def _reason(self, text: str, deviations: Sequence[str]) -> None:
        self._field("why", Text(text))
        for deviation in deviations:
            self._field("WRONG", Text(deviation, style="bold red"))

    def _hanging(self, start: Text, text: Text) -> None:
        """Prints text, its further lines below its first."""
        for line in text.wrap(self._console, self._console.width - start.cell_len, overflow="fold"):
            line.rstrip()
            self._console.print(start + line, soft_wrap=True)
            start = Text(" " * start.cell_len)


def _summary(deviations: Sequence[Sequence[str]]) -> list[str]:
    """A crowd's deviations, each once and with its count, the most frequent first."""
    counts = Counter(text for found in deviations for text in found)
    told = [f"{count} times: {text}" if count > 1 else text for text, count in counts.most_common(SHOWN)]
    return [*told, "and others"] if len(counts) > SHOWN else told
