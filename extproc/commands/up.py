"""``extproc up``: Envoy and processors together."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from rich.console import Console

from extproc.commands.addresses import host_and_port
from extproc.commands.evidence import add_evidence, state_folder
from extproc.commands.graphs import FAILED, load_plans
from extproc.commands.limits import limits
from extproc.commands.logging_options import access_log, add_access_log, add_logging, configure_logging
from extproc.commands.tracing import HELP, told_tracing
from extproc.errors import StartError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from extproc.supervisor.system import System

EXAMPLES = """\
examples:
  extproc up graphs/
  extproc up fraud.yaml --port 8080 --workers 4
  extproc up graphs/ --workers 4 --state /var/lib/extproc --store postgresql://extproc@db/evidence
  extproc up graphs/ --port 0 --admin 127.0.0.1:0 --json    # free ports, told as one line of JSON
  extproc up graphs/ --traces                             # then: extproc trace --path /v1/...

"""
EXAMPLES += HELP


def arguments(parser: ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a graph file, or a folder read recursively")
    parser.add_argument("--host", default="127.0.0.1", help="where clients connect; default: %(default)s")
    parser.add_argument("--port", type=int, default=10000, help="default: %(default)s; 0 takes a free one")
    parser.add_argument("--admin", default="127.0.0.1:9090", metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processor processes; default: %(default)s")
    parser.add_argument(
        "--traces", action="store_true", help="keep the last traces in memory, for extproc trace, and send them nowhere"
    )
    add_evidence(parser)
    add_access_log(parser)
    add_logging(parser)
    parser.add_argument("--json", action="store_true", help="tell addresses and processes as one line of JSON")


def run(options: Namespace) -> int:
    """Start, serve until Ctrl-C or SIGTERM, drain, stop."""
    configure_logging(options, "supervisor")
    graphs, plans = load_plans(options.paths)
    if options.workers < 1:
        print("--workers: at least 1", file=sys.stderr)
        return 2
    from extproc.supervisor.system import Settings, System

    with state_folder(options.state) as folder:
        admin_host, admin_port = host_and_port(options.admin)
        challenge_limits, store_limits = limits(options.limit)
        settings = Settings(
            options.host,
            options.port,
            admin_host,
            admin_port,
            options.workers,
            Path(folder),
            store=options.store,
            limits=challenge_limits,
            store_limits=store_limits,
            bodies=options.keep_bodies,
            tracing=told_tracing(),
            keep_traces=options.traces,
            access_log=access_log(options),
        )
        try:
            system = System(settings, graphs, plans)
            return uvloop.run(_serve(system, as_json=options.json))
        except StartError as error:
            print(f"extproc: {error}", file=sys.stderr)
            return FAILED


async def _serve(system: System, *, as_json: bool) -> int:
    started, stop = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    telling = asyncio.create_task(_tell(system, started, as_json=as_json))
    try:
        await system.run(started, stop)
    finally:
        telling.cancel()
    return 0


async def _tell(system: System, started: asyncio.Event, *, as_json: bool) -> None:
    await started.wait()
    if as_json:
        print(json.dumps(_addresses(system)), flush=True)
        return
    console = Console(highlight=False)
    console.print(f"[green]ready[/]  requests: [bold]http://{system.ingress}[/]   admin: http://{system.admin.address}")
    for plan in system.plans:
        away = plan.away.name if plan.away else "closed"
        console.print(f"  [bold]{plan.id}[/]  reads {'body' if plan.reads_body else 'headers'}, when away: {away}")
    console.print("Ctrl-C drains and stops.")


def _addresses(system: System) -> dict[str, object]:
    return {
        "ingress": f"http://{system.ingress}",
        "admin": f"http://{system.admin.address}",
        "graphs": [plan.id for plan in system.plans],
        "pids": {
            "supervisor": os.getpid(),
            "envoy": system.envoy.pid,
            "workers": [worker.pid for worker in system.workers.all],
        },
        "envoyAdmin": system.layout.admin.path,
    }
