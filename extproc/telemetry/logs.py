"""Logs of all our processes, on standard error: as text for people, or as JSON, one object a line, for machines.

Whatever a record holds, a client's bytes included, it can be told from the next one: no message makes two lines, and
nothing in it steers a terminal.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from extproc.telemetry.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

Form: TypeAlias = Literal["text", "json"]

FORMS: tuple[Form, ...] = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
DEFAULT_FORM: Form = "text"
DEFAULT_LEVEL = "warning"
# How a supervisor's processes learn what it was told; a container may set them too.
FORM_VARIABLE = "EXTPROC_LOG_FORMAT"
LEVEL_VARIABLE = "EXTPROC_LOG_LEVEL"
MAX_TRACE = 8192  # characters of a traceback, the last ones: where it happened; many collectors cut a line at 16 KiB

_STANDARD_ERROR = 2
# What every record has; whatever else it has are the fields that somebody gave it.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_encode = msgspec.json.Encoder(enc_hook=str).encode

log = logging.getLogger(__name__)


def configure(form: Form, level: str, process: str) -> None:
    """Log to standard error from now on; ``process`` is what this one is: supervisor, worker or serve."""
    root = logging.getLogger()
    for before in _handlers():
        root.removeHandler(before)
        before.close()
    handler = Lines(_STANDARD_ERROR)
    handler.setFormatter(Json(process) if form == "json" else Text(process))
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    sys.excepthook = _ended


def configure_as_told(process: str, environment: Mapping[str, str] = os.environ) -> None:
    """Log as the environment says, by default where it says nothing that is known."""
    form, level = environment.get(FORM_VARIABLE), environment.get(LEVEL_VARIABLE, "")
    configure("json" if form == "json" else DEFAULT_FORM, level if level in LEVELS else DEFAULT_LEVEL, process)


def dropped() -> int:
    """Return how many lines of this process nobody read."""
    return sum(handler.dropped for handler in _handlers())


class Text(logging.Formatter):
    """A line for each record; a traceback follows in lines of its own, all of them indented."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = f"{_time(record)} {self._process} {record.process} {record.levelname} {printable(_message(record))}"
        trace = _trace(record).splitlines()
        return "\n    ".join([line, *(printable(part) for part in trace)])


class Json(logging.Formatter):
    """An object for each record: the same keys in each, and the fields it was given."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the object, on one line."""
        said: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": record.process,
            "logger": record.name,
            "message": _message(record),
        }
        said = {
            **said,
            **{name: value for name, value in vars(record).items() if name not in _OWN and name not in said},
        }
        if trace := _trace(record):
            said["exception"] = trace
        return _on_one_line(_encoded(said))


def printable(text: str) -> str:
    """Escape what no reader would see, or would see as something else: line ends, control and direction characters."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _handlers() -> list[Lines]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, Lines)]


def _time(record: logging.LogRecord) -> str:
    """Return when it was, as RFC 3339."""
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - whoever logs gave it the wrong arguments: say what there is
        return f"{record.msg} {record.args!a}"


def _trace(record: logging.LogRecord) -> str:
    """Return the traceback; nothing where there is none."""
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    text = "".join(traceback.format_exception(record.exc_info[1])).rstrip()
    return text if len(text) <= MAX_TRACE else f"...{text[-MAX_TRACE:]}"


def _encoded(said: Mapping[str, Any]) -> str:
    try:
        return _encode(said).decode()
    except (ValueError, RecursionError):  # text that is no Unicode, or what holds itself
        return _encode({name: printable(str(value)) for name, value in said.items()}).decode()


def _on_one_line(text: str) -> str:
    """Escape what some readers take for the end of a line, and what steers a terminal; all of it stands in strings."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what ended this process."""
    if issubclass(kind, Exception):
        log.critical("ended by an error", exc_info=(kind, error, trace))
    else:
        sys.__excepthook__(kind, error, trace)
