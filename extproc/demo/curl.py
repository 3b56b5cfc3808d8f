"""Requests as lines for a shell."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extproc.demo.scene import Request


def words(address: str, request: Request, data: str, *, show_head: bool = False) -> Iterator[str]:
    """The parts of a curl call that stay together; ``data`` is what ``-d`` sends, as curl reads it."""
    yield f"curl -i {address}{request.path}" if show_head else f"curl {address}{request.path}"
    if request.method != "POST":
        yield f"-X {request.method}"
    for name, value in request.headers.items():
        yield "-H " + shlex.quote(f"{name}: {value}")
    yield "-d " + shlex.quote(data)


def asking(command: str, admin: str) -> str:
    """A call of ``extproc`` that asks the admin address; ``admin`` is its url."""
    return f"extproc {command} --admin {admin.removeprefix('http://')}"


def folded(parts: Iterator[str], width: int) -> list[str]:
    """The parts on as few lines as ``width`` allows, joined as a shell reads them."""
    lines = [next(parts)]
    for part in parts:
        if len(lines[-1]) + 1 + len(part) + len(" \\") <= width:
            lines[-1] += f" {part}"
        else:
            lines[-1] += " \\"
            lines.append(f"     {part}")
    return lines
