"""One more request of the tour, with its trace: what ``extproc trace`` prints."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import msgspec
from rich.padding import Padding
from rich.text import Text

from extproc.demo.curl import folded
from extproc.demo.scene import Ask

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from extproc.demo.scene import Scene

TRACED = "cancer-vote"  # three models at once: the tree with the most branches
ABOUT = (
    "The same request once more, with all that Envoy and the processor did for it: each line is a span, and the bars say "
    "when it was under way. The members of the vote are called side by side, through Envoy."
)


async def show_trace(console: Console, admin: str, scene: Scene, folder: Path) -> bool:
    """Sends a scene's first request with ``extproc trace``, and shows what it prints; was the trace complete?"""
    ask = next(step for step in scene.steps if isinstance(step, Ask))
    file = folder / f"{scene.name}.json"
    file.write_bytes(msgspec.json.encode(ask.request.body))
    parts = [f"extproc trace --path {ask.request.path}", f"--body {file}", f"--admin {admin.removeprefix('http://')}"]
    console.print(Text.assemble("\n  ", (f"The trace of {scene.title[0].lower()}{scene.title[1:]}", "bold")))
    console.print(Padding(ABOUT, (0, 0, 1, 2)))
    for line in folded(iter(parts), console.width):
        console.print(Text(line, style="cyan"), soft_wrap=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "extproc.cli",
        *" ".join(parts).split()[1:],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "COLUMNS": str(console.width), **({"FORCE_COLOR": "1"} if console.is_terminal else {})},
    )
    printed, _ = await process.communicate()
    console.print(Text.from_ansi(printed.decode(errors="replace").rstrip()), soft_wrap=True)
    return process.returncode == 0
