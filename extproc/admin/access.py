"""Who may change what: requests from this machine, or with the token; never a page that a browser shows."""

from __future__ import annotations

import hmac
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from aiohttp import web

TOKEN_VARIABLE = "EXTPROC_ADMIN_TOKEN"  # noqa: S105 - the variable's name


def refusal(request: web.Request, token: str | None) -> str | None:
    """Return why a request may change nothing, None where it may.

    A browser tells where a page came from that sends something: no other site's page may, wherever the browser runs. A
    host name that is none of this machine's is somebody else's that leads here (DNS rebinding).
    """
    if _by_token(request, token):
        return None
    host = request.headers.get("host", "")  # where there is none, the library would ask DNS for this machine's name
    origin = request.headers.get("origin")
    if origin is not None and _split(origin).netloc != host:
        return "pages of other sites may change nothing here"
    if not (_is_here(request.remote) and _is_here(_name(host))):
        how = f"Authorization: Bearer, with the value of {TOKEN_VARIABLE} there"
        return f"what changes something needs a request from the same machine, or {how}"
    return None


def _by_token(request: web.Request, token: str | None) -> bool:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    wanted = (token or "").strip()  # a file's or a secret's last line end is not part of it
    if not wanted or kind.lower() != "bearer":
        return False
    # As bytes, whatever they are: both were decoded so.
    return hmac.compare_digest(*(text.encode("utf-8", "surrogateescape") for text in (given.strip(), wanted)))


def _name(host: str) -> str:
    return _split(f"//{host}").hostname or ""


def _split(url: str) -> SplitResult:
    """Return a URL's parts, those of none for what is no URL."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _is_here(name: str | None) -> bool:
    """Tell whether an address or name is this machine's own for itself: also that of all addresses it listens at."""
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name or "")
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
