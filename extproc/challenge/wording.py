"""The words and digits by which a report is shown to people, the same in a terminal and on a page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import log10
from typing import TYPE_CHECKING, Any, Final
from unicodedata import category

if TYPE_CHECKING:
    from extproc.challenge.document import Bound

DASH: Final = "\N{EN DASH}"
TIMES: Final = "\N{MULTIPLICATION SIGN}"
UNKNOWN: Final = DASH
VERDICTS: Final = {"promote": "Promote", "reject": "Reject", "collecting": "Still collecting:"}
FATES: Final = {
    "paired": "both legs answered and were compared",
    "unsampled": "not chosen by the challenger's sample",
    "unsupported": "never sampled: gRPC, or a body that nobody is shown",
    "shed": "the challenger's own limits of concurrency, queue or memory were met",
    "timeout": "the challenger took longer than the graph's timeout",
    "failed": "the challenger gave no answer, or no 2xx",
    "too_large": "the request or an answer is above the size limit",
    "unparsable": "an answer that cannot be compared",
    "champion_failed": "the champion gave no 2xx, whatever the challenger did",
    "interrupted": "the worker was stopped or killed",
    "pending": "on the way, or not yet told",
}
"""What each count means."""

RAILS: Final = {
    "agreement": "both say the same",
    "errors": "the challenger fails",
    "latency": "its p95 over the champion's",
    "truth": "its gain against labels",
}
"""What each guardrail measures."""

MEASURES: Final = {"accuracy": "Accuracy", "brier": "Brier score", "error": "Absolute error"}
_LARGE: Final = 1e6  # beyond, digits before the point say less than an exponent
_SMALL: Final = 1e-4
_DIGITS: Final = 4  # significant ones: a confidence sequence is never surer than that
_ROUND: Final = 100.0  # milliseconds from which tenths say nothing
_CLOSE: Final = 0.05  # shares this near to 0 or 1 are given more digits

# Control characters, halves of surrogate pairs, and characters that turn the direction of what follows.
_UNSEEN: Final = frozenset(["Cc", "Cs"])
_TURNING: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str) -> str:
    """Return text without what would be invisible, or would rearrange what stands around it."""
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if char in "\n\t":
        return " "
    return "\ufffd" if category(char) in _UNSEEN or char in _TURNING else char


def count(number: int) -> str:
    """Return a count, in groups of three digits."""
    return f"{number:,}"


def number(value: float | None) -> str:
    """Return a number with four significant digits."""
    if value is None:
        return UNKNOWN
    size = abs(value)
    if size >= _LARGE or 0 < size < _SMALL:
        return f"{value:.{_DIGITS - 2}e}"
    places = _DIGITS - 1 - int(log10(size)) if size >= 1 else _DIGITS
    text = f"{value:,.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def signed(value: float | None) -> str:
    """Return a number with its sign."""
    text = number(value)
    return f"+{text}" if value is not None and value >= 0 else text


def share(value: float | None) -> str:
    """Return a share in per cent: 100% and 0% only where it is neither less nor more."""
    if value is None:
        return UNKNOWN
    if value in (0.0, 1.0):
        return f"{value:.0%}"
    if _CLOSE <= value <= 1 - _CLOSE:
        return f"{value:.1%}"
    text = f"{value:.2%}"
    return {"0.00%": "<0.01%", "100.00%": ">99.99%"}.get(text, text)


def setting(value: float) -> str:
    """Return a share that somebody chose, with the digits that were chosen."""
    return f"{value * 100:.6g}%"


def points(value: float | None) -> str:
    """Return a difference of shares, in percentage points."""
    return UNKNOWN if value is None else f"{value * 100:+.2f} pp"


def milliseconds(value: float | None) -> str:
    """Return a time."""
    if value is None:
        return UNKNOWN
    if value >= _ROUND:
        return f"{value:,.0f} ms"
    return f"{value:.1f} ms" if value >= 1 else f"{value:.2f} ms"


def times(value: float | None) -> str:
    """Return a ratio."""
    return UNKNOWN if value is None else f"{value:.2f}{TIMES}"


def moment(at: float) -> str:
    """Return a time since the epoch as date and time of day, UTC."""
    return f"{_utc(at):%Y-%m-%d %H:%M:%S} UTC"


def machine_moment(at: float) -> str:
    """Return a time since the epoch as RFC 3339 has it."""
    return f"{_utc(at):%Y-%m-%dT%H:%M:%SZ}"


def _utc(at: float) -> datetime:
    earliest, latest = 0.0, 253_402_300_799.0  # to the end of the year 9999, the last a datetime knows
    return datetime.fromtimestamp(min(max(at, earliest), latest), UTC)


def figure(rail: str, value: float | None, metric: str | None = None) -> str:
    """Return a guardrail's figure in its own unit."""
    match rail:
        case "agreement" | "errors":
            return share(value)
        case "latency":
            return times(value)
        case "truth" if metric in ("accuracy", None):
            return points(value)
        case _:
            return signed(value)


def bound(rail: str, asked: Bound) -> str:
    """Return what a guardrail asks."""
    if asked.min is not None:
        return f"at least {mark(rail, asked.min)}"
    if asked.max is not None:
        return f"at most {mark(rail, asked.max)}"
    if asked.p95_ratio is not None:
        return f"at most {mark(rail, asked.p95_ratio)}"
    if asked.min_gain is not None:
        return f"at least {mark(rail, asked.min_gain, asked.metric)}"
    return UNKNOWN


def mark(rail: str, value: float, metric: str | None = None) -> str:
    """Return a round figure of a guardrail with no more digits than it has."""
    match rail:
        case "agreement" | "errors":
            return setting(value)
        case "latency":
            return f"{value:.6g}{TIMES}"
        case "truth" if metric in ("accuracy", None):
            return f"{value * 100:+.6g} pp" if value else "0 pp"
        case _:
            return f"{value:+.6g}" if value else "0"


def between(rail: str, low: float | None, high: float | None, metric: str | None = None) -> str:
    """Return from where to where a guardrail's figure may lie."""
    if low is None:
        return UNKNOWN
    if high is None:
        return f"{figure(rail, low, metric)} or more"
    return f"{figure(rail, low, metric).removesuffix(' pp')} {DASH} {figure(rail, high, metric)}"


def limit(asked: Bound) -> float | None:
    """Return the number that a guardrail's figure is held against."""
    limits = (asked.min, asked.max, asked.p95_ratio, asked.min_gain)
    return next((one for one in limits if one is not None), None)


def value(said: Any, longest: int = 80) -> str:
    """Return a JSON value as text, shortened in its middle."""
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[:half]} … {text[-half:]}"
