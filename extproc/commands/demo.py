"""``extproc demo``: sample models, sample graphs, and real traffic explained."""

from __future__ import annotations

import asyncio
import sys
from argparse import ArgumentTypeError
from io import TextIOWrapper
from typing import TYPE_CHECKING

import uvloop
from rich.console import Console

from extproc.commands.addresses import host_and_port
from extproc.commands.graphs import FAILED, load_plans
from extproc.commands.logging_options import add_logging, configure_logging
from extproc.demo.ports import Ports
from extproc.demo.progress import Progress
from extproc.demo.samples import folder

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXAMPLES = """\
examples:
  extproc demo                          # the tour, then it stays up to be tried by hand
  extproc demo --once                   # the tour alone: exit 0 when every answer was as expected
  extproc demo --once --port 0 --admin 127.0.0.1:0 --json   # free ports; a line of JSON for each request and report
"""

HOST = "127.0.0.1"
INTERRUPTED = 130  # what shells say of a process that SIGINT ended
MAX_PORT = 65535
WIDEST = 100  # columns; longer lines are hard to read


def arguments(parser: ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--once", action="store_true", help="stop after the tour; exit 1 if an answer was unexpected")
    parser.add_argument(
        "--port", type=_port, default=10000, help="default: %(default)s; 0, or one that is taken, means a free one"
    )
    parser.add_argument("--admin", default="127.0.0.1:9090", metavar="HOST:PORT", help="default: %(default)s; likewise")
    parser.add_argument(
        "--json",
        action="store_true",
        help="one JSON object a line for each request, the last with the challenge's report; the rest to stderr",
    )
    add_logging(parser)


def run(options: Namespace) -> int:
    """Start everything, show it, and end it."""
    configure_logging(options, "supervisor")
    from extproc.demo.run import Options, demo, require

    admin_host, admin_port = host_and_port(options.admin)
    require()
    samples = folder()
    graphs, _ = load_plans([str(samples)])
    console = _console(to_stderr=options.json)
    ports = Ports(HOST, options.port, admin_host, admin_port)
    chosen = Options(options.once, ports, options.json, samples)
    try:
        well = uvloop.run(demo(chosen, graphs, console, Progress(console)))
    except asyncio.CancelledError:
        return INTERRUPTED
    return 0 if well else FAILED


def _console(*, to_stderr: bool) -> Console:
    """A console as wide as is readable, which never fails for a character that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    console = Console(stderr=to_stderr, highlight=False)
    console.width = min(console.width, WIDEST)
    return console


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > MAX_PORT:
        raise ArgumentTypeError(f"{text!r} is no port: expected 0 to {MAX_PORT}")
    return int(text)
