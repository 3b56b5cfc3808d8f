"""``extproc serve``: the processor alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from extproc.commands.addresses import address
from extproc.commands.graphs import load_plans

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from extproc.supervisor.worker import Worker

EXAMPLES = """\
examples:
  extproc serve graphs/ --listen unix:/run/extproc.sock
  extproc serve graphs/ --listen 127.0.0.1:9000
"""


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


def run(options: Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    _, plans = load_plans(options.paths)
    import uvloop

    from extproc.supervisor.worker import Worker

    listen = [str(address(text)) for text in options.listen or ["unix:/run/extproc.sock"]]

    async def serve() -> None:
        worker = Worker(plans, listen, str(address(options.egress)), options.transport)
        worker.listening.add_done_callback(lambda _: _tell(worker))
        await worker.run()

    uvloop.run(serve())
    return 0


def _tell(worker: Worker) -> None:
    print(f"ready  listening at {', '.join(worker.server.addresses)}", flush=True)
    for plan in worker.generations.current:
        print(f"  {plan!r}", flush=True)
