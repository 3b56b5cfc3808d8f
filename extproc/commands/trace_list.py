"""The traces that are kept, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from extproc.challenge.wording import count, moment
from extproc.commands.trace_facts import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def listed(traces: Iterable[Mapping[str, Any]]) -> Table:
    """Return traces as the admin address lists them, as a table."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("trace", no_wrap=True)
    table.add_column("began", overflow="fold")
    table.add_column("took ms", justify="right", no_wrap=True)
    table.add_column("spans", justify="right", no_wrap=True)
    table.add_column("request", overflow="fold")
    for one in traces:
        sign = Text("✕ ", style="bold red") if one["error"] else Text()
        table.add_row(
            Text(shown(one["traceId"])),
            Text(moment(one["start"] / 1e9), style="dim"),
            Text(f"{one['duration'] / 1e6:,.2f}"),
            Text(count(one["spans"])),
            sign + Text(shown(one["name"]).strip()) + Text(f"  {shown(one['service'])}", style="dim"),
        )
    return table
