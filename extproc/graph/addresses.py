"""Scalars that name something on the network: URLs, hosts, paths, headers."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple

from extproc.graph.problems import quote
from extproc.graph.scalars import text
from extproc.graph.values import Wrong, found

if TYPE_CHECKING:
    from extproc.graph.tree import Scalar

MAX_PORT = 65535
MAX_HOST = 253
"""Characters of a DNS name (RFC 1035 §2.3.4, without the root's dot)."""

LABEL = re.compile(r"[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?")
"""One label of a host; underscores are no letters of DNS host names, but names of Compose services have them."""

TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
"""RFC 9110 §5.6.2."""

FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\uffff\U00010000-\U0010ffff]*")
"""RFC 9110 §5.5, and no C1 control characters either (below)."""

C1 = re.compile("[\x7f-\x9f]")
OUTSIDE_PATH = re.compile(r'[^\x21-\x7e]|[?#<>"\\^`{|}]')

HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip
"""RFC 9110 §7.6.1: they belong to one connection."""

OWNED = {"host": "write host: instead", "content-length": "it follows from the body"}
OURS = "x-extproc-"


class Url(NamedTuple):
    """A model's URL in parts: ``host`` without brackets, ``path`` None when the request keeps its own."""

    scheme: str
    host: str
    port: int
    path: str | None


def split_url(value: str) -> Url:
    """The parts of ``http(s)://host[:port][/path]``; raises ``Wrong`` (a ValueError) for anything else."""
    scheme, separator, rest = value.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        raise Wrong(f"expected a URL like http://host:8080/path, found {quote(value)}")
    if unfit := re.search(r"[^\x21-\x7e]", value):
        raise Wrong(f"a URL cannot hold {quote(unfit[0])}; percent-encode it")
    authority, slash, path = rest.partition("/")
    for sign, what in (("@", "a user or password: set a header"), ("?", "a query"), ("#", "a fragment")):
        if sign in authority or (sign != "@" and sign in path):
            raise Wrong(f"a model's URL cannot hold {what}")
    host, port = _authority(authority)
    secure = scheme.lower() == "https"
    where = http_path_text(slash + path) if slash else None
    return Url(scheme.lower(), host, port or (443 if secure else 80), where)


def _authority(authority: str) -> tuple[str, int | None]:
    if authority.startswith("["):
        inner, bracket, rest = authority[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise Wrong(f"expected [IPv6] or [IPv6]:port, found {quote(authority)}")
        return _ipv6(inner), _port(rest[1:]) if rest else None
    host, colon, port = authority.partition(":")
    if ":" in port:
        raise Wrong(f"an IPv6 address stands in brackets: [{authority}]")
    return _host(host), _port(port) if colon else None


def _port(digits: str) -> int:
    if re.fullmatch("[0-9]{1,5}", digits) and 1 <= int(digits) <= MAX_PORT:
        return int(digits)
    raise Wrong(f"expected a port from 1 to {MAX_PORT}, found {quote(digits)}")


def _ipv6(inner: str) -> str:
    try:
        return str(ipaddress.IPv6Address(inner))
    except ValueError:
        raise Wrong(f"{quote(inner)} is no IPv6 address") from None


def _host(host: str) -> str:
    """A DNS name or an IPv4 address, in lower case."""
    if not host:
        raise Wrong("the host is missing")
    if re.fullmatch(r"[0-9.]+", host):
        return _ipv4(host)
    labels = host.removesuffix(".").split(".")
    if len(host) > MAX_HOST or not all(LABEL.fullmatch(label) for label in labels):
        raise Wrong(f"{quote(host)} is no host name")
    return host.lower()


def _ipv4(host: str) -> str:
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise Wrong(f"{quote(host)} is no IPv4 address") from None


def url(scalar: Scalar) -> str:
    """A model's URL, as it is written."""
    value = text(scalar)
    split_url(value)
    return value


def host(scalar: Scalar) -> str:
    """The host (with or without a port) that a model in a cluster is called by."""
    value = text(scalar)
    _authority(value)
    return value.lower()


def match_host(scalar: Scalar) -> str:
    """A host to match, ``api.example.com`` or ``*.example.com``, in lower case."""
    value = text(scalar)
    if value == "*":
        raise Wrong('"*" matches every host: leave host away')
    if value.startswith("["):
        inner, bracket, rest = value[1:].partition("]")
        if not bracket or rest:
            raise Wrong(f"a host to match has no port (a request's own is ignored), found {quote(value)}")
        return f"[{_ipv6(inner)}]"
    if ":" in value:
        raise Wrong(f"a host to match has no port (a request's own is ignored); did you mean {quote(_bare(value))}?")
    if value.startswith("*."):
        return "*." + _host(value[2:])
    if "*" in value:
        raise Wrong(f"a wildcard is the whole first label, like *.example.com, found {quote(value)}")
    return _host(value)


def _bare(value: str) -> str:
    return value.partition(":")[0] if value.count(":") == 1 else f"[{value}]"


def http_path(scalar: Scalar) -> str:
    """A path of a URL."""
    return http_path_text(text(scalar))


def http_path_text(value: str) -> str:
    """A path that begins with ``/``, without query and fragment; raises ``Wrong``."""
    if not value.startswith("/"):
        raise Wrong(f"a path begins with /, found {quote(value)}")
    for sign, what in (("?", "a query"), ("#", "a fragment")):
        if sign in value:
            raise Wrong(f"a path cannot hold {what}, found {quote(value)}")
    if unfit := OUTSIDE_PATH.search(value):
        raise Wrong(f"a path cannot hold {quote(unfit[0])}; percent-encode it")
    return value


def header_name(scalar: Scalar) -> str:
    """A header's name, in lower case."""
    value = text(scalar).lower()
    if value.startswith(":"):
        raise Wrong(f"the pseudo-header {quote(value)} cannot be named here")
    if not TOKEN.fullmatch(value):
        raise Wrong(f"{quote(value)} is no header name")
    if value in HOP_BY_HOP:
        raise Wrong(f"the header {quote(value)} belongs to one connection and cannot be named here")
    if value.startswith(OURS):
        raise Wrong(f"headers that begin with {OURS} are the project's own")
    if value in OWNED:
        raise Wrong(f"the header {quote(value)} cannot be named here: {OWNED[value]}")
    return value


def header_value(scalar: Scalar) -> str:
    """A header's value, as it is written: ``1.0`` and ``on`` need no quotes."""
    if scalar.plain and not scalar.text:
        raise Wrong(f'expected a text, found {found(scalar)}; write "" for an empty value')
    value = scalar.text
    if not FIELD_VALUE.fullmatch(value) or C1.search(value):
        raise Wrong("a header's value cannot hold control characters")
    if value != value.strip(" \t"):
        raise Wrong("a header's value cannot begin or end with a blank: it would be lost on the way")
    return value
