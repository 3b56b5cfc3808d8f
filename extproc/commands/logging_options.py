"""Options that say what is logged, how, and where to: our own logs, and Envoy's access log."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from extproc.envoy.layout import STANDARD_OUTPUT
from extproc.telemetry.logs import (
    DEFAULT_FORM,
    DEFAULT_LEVEL,
    FORM_VARIABLE,
    FORMS,
    LEVEL_VARIABLE,
    LEVELS,
    configure,
)

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Sequence


def add_logging(parser: ArgumentParser) -> None:
    """Add the options of our own logs."""
    parser.add_argument(
        "--log-format",
        type=_one_of(FORMS),
        default=os.environ.get(FORM_VARIABLE) or DEFAULT_FORM,
        metavar="|".join(FORMS),
        help=f"of what is logged to standard error; default: {FORM_VARIABLE}, or {DEFAULT_FORM}",
    )
    parser.add_argument(
        "--log-level",
        type=_one_of(LEVELS),
        default=os.environ.get(LEVEL_VARIABLE) or DEFAULT_LEVEL,
        metavar="|".join(LEVELS),
        help=f"the least that is logged; default: {LEVEL_VARIABLE}, or {DEFAULT_LEVEL}",
    )


def add_access_log(parser: ArgumentParser) -> None:
    """Add the option of Envoy's access log."""
    parser.add_argument(
        "--access-log",
        metavar="PATH|-",
        help="a file to which Envoy writes a line of JSON for each request; - is its standard output; default: none",
    )


def configure_logging(options: Namespace, process: Literal["supervisor", "serve"]) -> None:
    """Log as the options say; processes started from now on do the same."""
    os.environ[FORM_VARIABLE], os.environ[LEVEL_VARIABLE] = options.log_format, options.log_level
    configure(options.log_format, options.log_level, process)


def access_log(options: Namespace) -> str | None:
    """Return where Envoy writes its access log, None where it writes none."""
    match options.access_log:
        case None | "":
            return None
        case "-":
            return STANDARD_OUTPUT
        case path:
            return str(Path(path).absolute())


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Return what checks a value, for argparse checks no default: that may come from the environment."""

    def chosen(text: str) -> str:
        if text not in choices:
            raise ArgumentTypeError(f"{text!r} is none of {', '.join(choices)}")
        return text

    return chosen
