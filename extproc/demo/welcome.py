"""What is said of the running system: what there is, and what one can do with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.text import Text

from extproc.demo.curl import asking, folded, words
from extproc.demo.scene import Ask, Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from extproc.demo.model_process import ModelServer
    from extproc.demo.scene import Scene
    from extproc.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is: urls, and a folder for bodies to send."""

    requests: str
    admin: str
    models: ModelServer
    folder: Path


def tell_graphs(console: Console, plans: Sequence[Plan], scenes: Iterable[Scene], folder: Path) -> None:
    """Lists the graphs that run, those without a scene too."""
    titles = {scene.graph: scene.title for scene in scenes}
    console.print(f"\n  Graphs loaded from {_short(folder)}:", soft_wrap=True, highlight=False)
    width = max(len(plan.id) for plan in plans)
    for plan in plans:
        title = titles.get(plan.graph) or "(not part of the tour)"
        console.print(Text.assemble("    ", (f"{plan.id:<{width}}", "bold"), f"  {title}"), soft_wrap=True)
    console.print("\n  Now real requests, of rows that no model was trained on. The route is")
    console.print("  x-extproc-route: what splits and switches decided, and the models called.")


def tell_staying(console: Console, place: Place, scenes: Sequence[Scene]) -> None:
    """Says how to go on by hand; the bodies to send are written to files first."""
    trials = {scene.name: step for scene in scenes for step in scene.steps if isinstance(step, Trial)}
    console.print("\n  [bold]It stays up: now you.[/] In another terminal:\n")
    for scene in scenes:
        _tell_request(console, place, scene)
    _tell_line(console, f"curl {place.admin}/graphs")
    _tell_line(console, f"curl {place.admin}/metrics")
    _tell_line(console, asking("trace --list", place.admin))
    for graph, trial in trials.items():
        _tell_line(console, asking(f"report {graph}", place.admin))
        for challenger in trial.challengers:
            promotion = asking(f"promote {graph} {challenger}", place.admin)
            _tell_line(console, promotion, "refused unless that is the verdict")
    _tell_line(console, f"kill {place.models.pid}", "the model server's end: see 502")
    for graph in trials:
        page = f"{place.admin}/challenges/{graph}"
        console.print(f"\n  The report as a page, with pictures:  [bold]{page}[/]", soft_wrap=True)
    console.print("\n  [bold]Ctrl-C[/] drains and ends everything.")


def _tell_request(console: Console, place: Place, scene: Scene) -> None:
    """The first request of a scene; its body is in a file."""
    ask = next((step for step in scene.steps if isinstance(step, Ask)), None)
    if ask is None:
        return
    file = place.folder / f"{scene.name}.json"
    file.write_bytes(msgspec.json.encode(ask.request.body))
    for line in folded(words(place.requests, ask.request, f"@{file}", show_head=True), console.width):
        _tell_line(console, line)


def _tell_line(console: Console, line: str, comment: str = "") -> None:
    """A line from the margin on: made to be copied."""
    console.print(Text(line, style="cyan") + Text(f"  # {comment}" if comment else "", "dim"), soft_wrap=True)


def _short(folder: Path) -> str:
    """Relative to where the user is, when it is below it."""
    here = Path.cwd()
    return f"{folder.relative_to(here)}/" if folder.is_relative_to(here) else str(folder)
