"""The command line: one subcommand a file in ``commands/``, imported only when it is used."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from extproc import __version__
from extproc.errors import ExtprocError

COMMANDS = {
    "check": "validate graphs; every error at once",
    "explain": "say which way a request goes and why, calling nothing",
    "draw": "a picture of a graph",
    "config": "write the Envoy configuration of graphs",
    "serve": "the processor alone, for an Envoy run by somebody else",
    "up": "Envoy and processors together",
    "report": "how the challengers of a running system stand",
    "promote": "make a challenger the champion of a running system",
    "rollback": "undo the last promotion in a running system",
    "trace": "send one request and print its trace as a tree",
    "demo": "sample models, sample graphs, and real traffic explained",
    "schema": "JSON Schema of the graph language",
}


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code: 0 well, 1 not, 2 called wrongly."""
    words = sys.argv[1:] if arguments is None else arguments
    chosen = next((word for word in words if word in COMMANDS), None)
    parser = _parser(chosen)
    options = parser.parse_args(words)
    if chosen is None:
        parser.print_help()
        raise SystemExit(2)
    try:
        raise SystemExit(options.run(options))
    except ExtprocError as error:
        print(f"extproc: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    """Build the parser; only the chosen command's module is imported."""
    parser = argparse.ArgumentParser(prog="extproc", description="Inference graphs inside Envoy.")
    parser.add_argument("--version", action="version", version=f"extproc {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, text in COMMANDS.items():
        command = commands.add_parser(
            name, help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == chosen:
            module = import_module(f"extproc.commands.{name}")
            command.epilog = module.EXAMPLES
            module.arguments(command)
            command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    main()
