"""Asking the admin address of a running system."""

from __future__ import annotations

import http.client
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from extproc.admin.access import TOKEN_VARIABLE
from extproc.commands.addresses import host_and_port
from extproc.errors import ExtprocError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

PATIENCE = 30.0  # seconds: a promotion on a loaded machine takes a few
OK = 200
DONE = ("graph", "challenger", "champion", "generation", "forced", "seconds")  # of a promotion or a rollback


class NoAnswer(ExtprocError):  # noqa: N818 - it says what happened
    """The admin address answered something else than what was asked for; the message says what."""


def add_admin(parser: ArgumentParser) -> None:
    """Add the option that says where the system is."""
    parser.add_argument(
        "--admin",
        default="127.0.0.1:9090",
        metavar="HOST:PORT",
        help=f"the running system's admin address; default: %(default)s. {TOKEN_VARIABLE} is sent as bearer token",
    )


def ask(admin: str, method: str, path: str, *, accept: str = "application/json", body: object = None) -> bytes:
    """Return what the admin address answers. Raises NoAnswer."""
    headers: dict[str, str | bytes] = {"accept": accept}
    if token := os.environb.get(TOKEN_VARIABLE.encode(), b"").strip():
        headers["authorization"] = b"Bearer " + token
    content = None
    if body is not None:
        content, headers["content-type"] = msgspec.json.encode(body), "application/json"
    host, port = host_and_port(admin)
    try:
        with closing(http.client.HTTPConnection(host, port, timeout=PATIENCE)) as connection:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            said = answer.read()
    except (OSError, http.client.HTTPException) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "no answer"
        raise NoAnswer(f"{admin}: {what}; is extproc up running, and is that its --admin?") from None
    except ValueError:  # whose text may hold the token
        raise NoAnswer(f"{admin} cannot be asked: is that an address, and {TOKEN_VARIABLE} a token?") from None
    if answer.status != OK:
        raise NoAnswer(_message(said, answer.status))
    return said


def ask_json(admin: str, method: str, path: str, body: object = None, *, holds: Sequence[str] = ()) -> Any:
    """Return the JSON document that the admin address answers, an object that ``holds`` these. Raises NoAnswer."""
    try:
        found = msgspec.json.decode(ask(admin, method, path, body=body), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if found is None or not found.keys() >= set(holds):
        raise NoAnswer(f"{admin} does not answer as extproc does; is that its --admin?")
    return found


def challenge_path(graph: str, rest: str = "") -> str:
    """Return the path of a challenge's page."""
    return f"/challenges/{quote(graph, safe='')}{rest}"


def _message(said: bytes, status: int) -> str:
    try:
        return str(msgspec.json.decode(said)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"the admin address answered {status}"
