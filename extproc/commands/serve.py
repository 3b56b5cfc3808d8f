"""``extproc serve``: the processor alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from extproc.commands.addresses import address, host_and_port
from extproc.commands.evidence import add_evidence, state_folder
from extproc.commands.graphs import load_plans
from extproc.commands.limits import limits
from extproc.commands.logging_options import add_logging, configure_logging
from extproc.commands.tracing import HELP, told_tracing

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from extproc.supervisor.sidecar import Sidecar

EXAMPLES = """\
examples:
  extproc serve graphs/ --listen unix:/run/extproc.sock
  extproc serve graphs/ --listen 127.0.0.1:9000
  extproc serve graphs/ --admin 127.0.0.1:9090 --state /var/lib/extproc    # challenges, with their reports

"""
EXAMPLES += HELP


def arguments(parser: ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a graph file, or a folder read recursively")
    parser.add_argument(
        "--listen",
        action="append",
        metavar="ADDR",
        help="unix:PATH or HOST:PORT; may be repeated; default: unix:/run/extproc.sock",
    )
    parser.add_argument(
        "--egress",
        default="unix:/run/extproc-egress.sock",
        metavar="ADDR",
        help="Envoy's listener for sub-calls, as in extproc config; default: %(default)s",
    )
    parser.add_argument(
        "--transport",
        choices=("native", "grpcio"),
        default="native",
        help="how streams are carried; default: %(default)s, several times cheaper than grpcio",
    )
    parser.add_argument(
        "--admin", metavar="HOST:PORT", help="where health, metrics and challenges are shown; default: nowhere"
    )
    parser.add_argument(
        "--envoy-admin",
        metavar="ADDR",
        help="Envoy's own admin page, unix:PATH or HOST:PORT: metrics then hold what only Envoy can count",
    )
    add_evidence(parser)
    add_logging(parser)


def run(options: Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    configure_logging(options, "serve")
    graphs, plans = load_plans(options.paths)
    import uvloop

    from extproc.supervisor.sidecar import Alone, serve

    challenge_limits, store_limits = limits(options.limit)
    with state_folder(options.state) as folder:
        asked = Alone(
            listen=[str(address(text)) for text in options.listen or ["unix:/run/extproc.sock"]],
            egress=str(address(options.egress)),
            transport=options.transport,
            folder=Path(folder),
            admin=host_and_port(options.admin) if options.admin else None,
            store=options.store,
            limits=challenge_limits,
            store_limits=store_limits,
            bodies=options.keep_bodies,
            tracing=told_tracing(),
            envoy_admin=str(address(options.envoy_admin)) if options.envoy_admin else None,
        )
        uvloop.run(serve(asked, graphs, plans, _tell))
    return 0


def _tell(sidecar: Sidecar) -> None:
    admin = f"   admin: http://{sidecar.admin.address}" if sidecar.admin else ""
    print(f"ready  listening at {', '.join(sidecar.worker.server.addresses)}{admin}", flush=True)
    for plan in sidecar.plans:
        print(f"  {plan!r}", flush=True)
