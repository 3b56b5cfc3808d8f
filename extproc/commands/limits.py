"""``--limit NAME=VALUE``: the limits of challenges and of their store."""

from __future__ import annotations

import re
import sys
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

from extproc.challenge.limits import Limits
from extproc.challenge.store.limits import Limits as StoreLimits
from extproc.graph.problems import did_you_mean

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping, Sequence

T = TypeVar("T", Limits, StoreLimits)

_UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_VALUE = re.compile(r"([0-9]{1,20})(KiB|MiB|GiB|s|m|h|d|)")
NAMES = (
    *(f"challenge.{field.name}" for field in fields(Limits)),
    *(f"store.{field.name}" for field in fields(StoreLimits)),
)
# The others may be 0, for nothing at all.
LEAST = {
    "challenge.concurrency": 1,  # legs would wait for ever
    "store.points": 2,  # the first and the last stay
    "store.silence": 300,  # who lives says so once a minute
}
MOST = 2**53  # no database takes much more


def add_limit(parser: ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a limit of challenges, like challenge.concurrency=128 or store.record_age=90d; may be repeated; "
        "docs/operations.md has them all",
    )


def limits(given: Sequence[str]) -> tuple[Limits, StoreLimits]:
    """Return the limits that were given, defaults for the rest; exit 2 for what is none."""
    values: dict[str, int] = {}
    for text in given:
        name, equals, value = text.partition("=")
        found = _VALUE.fullmatch(value)
        if name not in NAMES:
            _refuse(f"--limit {text!r}: no limit is named {name!r}{did_you_mean(name, NAMES)}")
        if not equals or found is None:
            _refuse(f"--limit {text!r}: expected a whole number, like 128, 64MiB or 30d")
        else:
            values[name] = _within(text, name, int(found[1]) * _UNITS[found[2]])
    return _of(Limits(), "challenge", values), _of(StoreLimits(), "store", values)


def _within(text: str, name: str, value: int) -> int:
    least = LEAST.get(name, 0)
    if not least <= value <= MOST:
        _refuse(f"--limit {text!r}: expected {least} to {MOST}")
    return value


def _of(defaults: T, room: str, values: Mapping[str, int]) -> T:
    mine = {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{room}.")}
    return replace(defaults, **mine)


def _refuse(message: str) -> None:
    print(message, file=sys.stderr)
    raise SystemExit(2)
