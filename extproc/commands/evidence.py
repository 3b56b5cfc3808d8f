"""Options of the commands that run challenges: where their evidence is kept, and how much of it."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from typing import TYPE_CHECKING

from extproc.commands.limits import add_limit

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from contextlib import AbstractContextManager


def add_evidence(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--state", metavar="DIR", help="folder for sockets and evidence; default: a new one, removed at the end"
    )
    parser.add_argument(
        "--store",
        metavar="URL",
        help="where challenges keep their evidence: postgresql://USER@HOST/DATABASE, when several machines share it; "
        "default: a file in --state",
    )
    parser.add_argument(
        "--keep-bodies",
        action="store_true",
        help="keep the request's body with examples of legs that disagree; default: no body is kept",
    )
    add_limit(parser)


def state_folder(named: str | None) -> AbstractContextManager[str]:
    """Return the folder for as long as it is needed: the named one, or a temporary one."""
    return nullcontext(named) if named else tempfile.TemporaryDirectory(prefix="extproc-")
