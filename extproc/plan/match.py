"""Which graph a request enters: the most specific match wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extproc.graph.document import Match

T = TypeVar("T")


def specific_first(entries: Iterable[tuple[Match, T]]) -> list[tuple[Match, T]]:
    """Sort match entries so that the first that fits is the most specific one.

    Exact host over wildcard (longer ones first) over none; exact path over longest prefix; more headers over fewer.
    Among equals the order given stays.
    """
    return sorted(entries, key=lambda entry: _generality(entry[0]))


def _generality(match: Match) -> tuple[int, int, int, int, int]:
    host = 2 if match.host is None else 1 if match.host.startswith("*.") else 0
    prefix = _prefix(match)
    return (
        host,
        -len(match.host or ""),
        0 if match.path is not None else 1,
        -len(prefix),
        -len(match.headers),
    )


def _prefix(match: Match) -> str:
    return (match.prefix or "/").rstrip("/")


def fits(match: Match, host: str, path: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request fits a match entry; ``path`` comes without its query, ``host`` may carry a port."""
    return (
        _host_fits(match.host, host)
        and _path_fits(match, path)
        and all(headers.get(name) == value for name, value in match.headers.items())
    )


def _host_fits(wanted: str | None, host: str) -> bool:
    if wanted is None:
        return True
    name = without_port(host).lower()
    if wanted.startswith("*."):
        return name.endswith(wanted[1:].lower()) and len(name) > len(wanted) - 1
    return name == wanted.lower()


def without_port(host: str) -> str:
    """Return a host header's value without its port; ``[::1]:80`` becomes ``[::1]``."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _path_fits(match: Match, path: str) -> bool:
    if match.path is not None:
        return path == match.path
    prefix = _prefix(match)
    return path == prefix or path.startswith(prefix + "/")
