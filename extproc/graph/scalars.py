"""Scalars with a meaning of their own: durations, sizes, shares, weights, counts, names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from extproc.graph.document import GRAPH_NAME_PATTERN, NAME_PATTERN
from extproc.graph.problems import quote
from extproc.graph.values import BOOLEANS, NULLS, Wrong, as_number, found, meaning

if TYPE_CHECKING:
    from extproc.graph.tree import Scalar

MAX_DURATION = 24 * 3600.0
"""Seconds. Longer than any call lives; far below the 315,576,000,000 s where Envoy's durations end."""

MIN_DURATION = 0.001
"""Seconds. Envoy takes timeouts in whole milliseconds in headers, and 0 would mean none."""

MAX_SIZE = 2**32 - 1
"""Bytes. Envoy's buffer limits are unsigned 32-bit numbers."""

MAX_COUNT = 2**32 - 1
"""Envoy's circuit breakers count in unsigned 32-bit numbers."""

MAX_WEIGHT = 1e15
"""Sums of weights stay exact in a float: a hundred thousand of them are below 2**53 · 2**13."""

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
DECIMAL = {"K": "KiB", "KB": "KiB", "M": "MiB", "MB": "MiB", "G": "GiB", "GB": "GiB"}
MEASURE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)[ ]?([A-Za-zµ]*)")
PERCENT = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)[ ]?%")


def boolean(scalar: Scalar) -> bool:
    """``true`` or ``false``; ``yes`` and ``on`` are texts in YAML 1.2."""
    if scalar.plain and scalar.text in BOOLEANS:
        return BOOLEANS[scalar.text]
    raise Wrong(f"expected true or false, found {found(scalar)}")


def text(scalar: Scalar) -> str:
    """A text as it is written: ``1.0``, ``on`` and ``no`` need no quotes where a text is expected."""
    if not scalar.text or (scalar.plain and scalar.text in NULLS):
        raise Wrong("expected a text, found nothing")
    if CONTROL.search(scalar.text):
        raise Wrong(f"control characters cannot stand here, found {quote(scalar.text)}")
    return scalar.text


def number(scalar: Scalar) -> float:
    """A finite number."""
    value = meaning(scalar)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong(f"expected a number, found {found(scalar)}")
    try:
        return float(value)
    except OverflowError:
        raise Wrong(f"the number {quote(scalar.text)} is too large") from None


def weight(scalar: Scalar) -> float:
    """A number ≥ 0."""
    value = number(scalar)
    if not 0 <= value <= MAX_WEIGHT:
        raise Wrong(f"expected a weight from 0 to {MAX_WEIGHT:g}, found {scalar.text[:40]}")
    return value


def count(scalar: Scalar) -> int:
    """An integer ≥ 1."""
    value = meaning(scalar)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Wrong(f"expected a whole number, found {found(scalar)}")
    if not 1 <= value <= MAX_COUNT:
        raise Wrong(f"expected a whole number from 1 to {MAX_COUNT}, found {scalar.text[:40]}")
    return value


def status(scalar: Scalar) -> int:
    """An HTTP status that ends an exchange: 200 to 599."""
    value = meaning(scalar)
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:  # noqa: PLR2004 - HTTP's own
        raise Wrong(f"expected a status from 200 to 599, found {found(scalar)}")
    return value


def duration(scalar: Scalar) -> float:
    """``250ms``, ``1.5s``, ``1m``, ``1h`` -> seconds."""
    digits, unit = _measure(scalar, "a duration like 250ms or 2s")
    if not unit:
        raise Wrong(f"a duration needs a unit: {digits}s or {digits}ms?")
    if unit not in UNITS:
        hint = f"; did you mean {digits}{unit.lower()}?" if unit.lower() in UNITS else ""
        raise Wrong(f"unknown unit {quote(unit)}, expected ms, s, m or h{hint}")
    seconds = float(digits) / 1000 if unit == "ms" else float(digits) * UNITS[unit]
    if not MIN_DURATION <= seconds <= MAX_DURATION:
        raise Wrong(f"expected a duration from 1ms to {MAX_DURATION / 3600:g}h, found {scalar.text[:40]}")
    return seconds


def size(scalar: Scalar) -> int:
    """``512B``, ``64KiB``, ``8MiB``, ``1GiB`` -> bytes."""
    digits, unit = _measure(scalar, "a size like 64KiB or 8MiB")
    if not unit:
        raise Wrong(f"a size needs a unit: {digits}B, {digits}KiB or {digits}MiB?")
    if unit not in BYTES:
        raise Wrong(f"unknown unit {quote(unit)}, expected B, KiB, MiB or GiB{_binary(digits, unit)}")
    value = float(digits) * BYTES[unit] if "." in digits else int(digits) * BYTES[unit]
    if not 1 <= value <= MAX_SIZE or value != int(value):
        raise Wrong(f"expected a size from 1B to just below 4GiB, in whole bytes, found {scalar.text[:40]}")
    return int(value)


def _binary(digits: str, unit: str) -> str:
    lowered = {name.lower(): name for name in BYTES}
    meant = lowered.get(unit.lower()) or DECIMAL.get(unit.upper())
    return f"; did you mean {digits}{meant}?" if meant else ""


def _measure(scalar: Scalar, expected: str) -> tuple[str, str]:
    match = MEASURE.fullmatch(scalar.text)
    if not match:
        raise Wrong(f"expected {expected}, found {found(scalar)}")
    return match[1], match[2]


def share(scalar: Scalar) -> float:
    """``25%`` or ``0.25`` -> a fraction of one."""
    if percent := PERCENT.fullmatch(scalar.text):
        value = float(percent[1]) / 100
    else:
        raw = as_number(scalar.text)
        if raw is None or not scalar.plain:
            raise Wrong(f"expected a share like 25% or 0.25, found {found(scalar)}")
        if 1 < raw <= 100:  # noqa: PLR2004 - per cent
            raise Wrong(f"a share is at most 1 or 100%; did you mean {scalar.text}%?")
        value = float(min(max(raw, -1), 2))
    if not 0 <= value <= 1:
        raise Wrong(f"expected a share from 0% to 100%, found {scalar.text[:40]}")
    return value


def name(scalar: Scalar) -> str:
    """The name of a model, node, branch, step, member or challenger."""
    value = text(scalar)
    if re.fullmatch(NAME_PATTERN, value) and not value.endswith("\n"):
        return value
    raise Wrong(f"{quote(value)} is no name: up to 63 letters, digits, '-', '.' and '_', the first a letter or a digit")


def graph_name(scalar: Scalar) -> str:
    """The name of a graph."""
    value = text(scalar)
    if re.fullmatch(GRAPH_NAME_PATTERN, value) and not value.endswith("\n"):
        return value
    raise Wrong(
        f"{quote(value)} is no graph's name: up to 63 lower-case letters, digits and '-', "
        "the first a letter, the last no '-'"
    )


def expression(scalar: Scalar) -> str:
    """An expression, as it is written; it is compiled by the checks."""
    if not scalar.text.strip() or (scalar.plain and scalar.text in NULLS):
        raise Wrong("expected an expression, found nothing")
    return scalar.text
