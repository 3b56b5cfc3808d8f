"""The request that ``extproc trace`` is asked to send, from the words of the command line; exit 2 for wrong ones."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import SplitResult, urlsplit

from extproc.commands.request_body import request_body
from extproc.commands.trace_request import Request

if TYPE_CHECKING:
    from argparse import Namespace

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: methods and names of headers
OURS = ("traceparent", "tracestate")  # the trace is begun here; the second belongs to the first


def wrong(message: str) -> NoReturn:
    """Say how the command was called wrongly, and exit."""
    print(message, file=sys.stderr)
    raise SystemExit(2)


def asked(options: Namespace, url: SplitResult) -> Request:
    """Return the request to a URL."""
    if options.method is not None and not TOKEN.fullmatch(options.method):
        wrong(f"--method {options.method!r} is none: expected one like POST")
    headers = [_header(line) for line in options.header]
    if options.host is not None:
        headers.append(("host", options.host))
    body = request_body(options.body)
    if body is not None and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    return Request(url, options.method or ("GET" if body is None else "POST"), headers, body)


def split(text: str) -> SplitResult:
    """Return a URL's parts."""
    try:
        url = urlsplit(text)
        known = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        known = False
    if not known:
        wrong(f"{text!r} is no URL: expected http://HOST:PORT/PATH, or --path with the path alone")
    return url


def at(ingress: str, admin: str, path: str) -> SplitResult:
    """Return the URL of a path at an ingress; where that listens everywhere, it is reached where ``admin`` is."""
    url = urlsplit(ingress)
    if url.hostname in {"0.0.0.0", "::"}:
        host = f"[{admin}]" if ":" in admin else admin
        url = urlsplit(f"{url.scheme}://{host}:{url.port}")
    return urlsplit(url.geturl() + path)


def checked_path(path: str) -> str:
    """Return a path."""
    if not path.startswith("/"):
        wrong(f"--path {path!r}: expected one that begins with /")
    return path


def _header(line: str) -> tuple[str, str]:
    name, colon, value = (part.strip() for part in line.partition(":"))
    if not colon or not TOKEN.fullmatch(name):
        wrong(f"--header {line!r}: expected 'name: value'")
    if name.lower() in OURS:
        wrong(f"--header {line!r}: extproc trace begins the trace itself")
    return name, value
