"""``extproc config``: the Envoy configuration of graphs, as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from extproc.commands.addresses import address
from extproc.commands.graphs import load_plans
from extproc.commands.logging_options import access_log, add_access_log
from extproc.commands.tracing import HELP, told_tracing

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from extproc.envoy.layout import Layout
    from extproc.plan.plan import Plan

EXAMPLES = """\
examples:
  extproc config graphs/ --out envoy
  envoy -c envoy/bootstrap.json
  extproc config graphs/ --out envoy --mounted-at /etc/envoy --listen 0.0.0.0:10000 \\
      --processor processor:9000 --egress 0.0.0.0:10001
"""
EXAMPLES += "\n" + HELP


def arguments(parser: ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a graph file, or a folder read recursively")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the files are written")
    parser.add_argument("--mounted-at", metavar="DIR", help="where Envoy will find them; default: the --out folder")
    parser.add_argument("--listen", default="127.0.0.1:10000", metavar="ADDR", help="for clients; default: %(default)s")
    parser.add_argument(
        "--processor",
        action="append",
        metavar="ADDR",
        help="a processor: unix:PATH or HOST:PORT; may be repeated; default: unix:/run/extproc.sock",
    )
    parser.add_argument(
        "--egress",
        default="unix:/run/extproc-egress.sock",
        metavar="ADDR",
        help="for the processors' own calls; default: %(default)s",
    )
    parser.add_argument(
        "--envoy-admin",
        default="unix:/run/extproc-envoy.sock",
        metavar="ADDR",
        help="Envoy's own admin page; default: %(default)s",
    )
    add_access_log(parser)


def run(options: Namespace) -> int:
    """Write the files."""
    _, plans = load_plans(options.paths)
    from extproc.envoy.build import BOOTSTRAP, build
    from extproc.envoy.files import write
    from extproc.envoy.layout import Layout

    out = Path(options.out)
    layout = Layout(
        ingress=address(options.listen),
        admin=address(options.envoy_admin),
        egress=address(options.egress),
        processors=tuple(address(text) for text in options.processor or ["unix:/run/extproc.sock"]),
        access_log=access_log(options),
        tracing=told_tracing(),
        folder=Path(options.mounted_at) if options.mounted_at else out.absolute(),
    )
    out.mkdir(parents=True, exist_ok=True)
    write(out, build(plans, layout), private=_holds_secrets(plans, layout))
    print(f"wrote {len(plans)} graphs to {out}; start: envoy -c {layout.folder / BOOTSTRAP}")
    return 0


def _holds_secrets(plans: Sequence[Plan], layout: Layout) -> bool:
    """Tell whether a header's value came out of a file, or goes to a collector: Envoy has no way to read it there itself."""
    if layout.tracing is not None and layout.tracing.collector.headers:
        return True
    values = [
        value for plan in plans for model in plan.models.values() for value in model.document.headers.set.values()
    ]
    return any(not isinstance(value, str) and value.file is not None for value in values)
