"""Who may change something on the admin address."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from multidict import CIMultiDict

from extproc.admin.access import refusal

HERE, THERE, REBOUND = "127.0.0.1:9090", "extproc.internal:9090", "evil.example:9090"
ELSEWHERE = "192.0.2.7"
SAME_MACHINE = "what changes something needs a request from the same machine, or Authorization: Bearer"
OTHER_SITE = "pages of other sites may change nothing here"
TOKEN = "s3cret"


def refused(remote: str | None, headers: dict[str, str], token: str | None = TOKEN) -> str | None:
    """Why a request from an address is refused."""
    request: Any = SimpleNamespace(headers=CIMultiDict(headers), remote=remote)
    return refusal(request, token)


@pytest.mark.parametrize(
    ("remote", "host"),
    [
        ("127.0.0.1", HERE),
        ("127.0.0.1", "localhost:9090"),
        ("127.0.0.1", "LOCALHOST"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.8.8.8", "127.1.2.3:1"),
        ("::1", "[::1]:9090"),
        ("::1", "[::1]"),
        ("::1", "localhost"),
        ("127.0.0.1", "0.0.0.0:9090"),
        ("::1", "[::]:9090"),
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN, ""])
def test_this_machine(remote: str, host: str, token: str | None):
    """A request from loopback to one of its names may change something, whether or not there is a token."""
    assert refused(remote, {"host": host}, token) is None


@pytest.mark.parametrize(
    ("remote", "host"),
    [
        (ELSEWHERE, HERE),
        (ELSEWHERE, "localhost"),
        ("2001:db8::1", "[::1]"),
        (None, HERE),
        ("", HERE),
        ("127.0.0.1", THERE),
        ("127.0.0.1", REBOUND),
        ("127.0.0.1", "localhost.evil.example"),
        ("127.0.0.1", "127.0.0.1.evil.example"),
        ("127.0.0.1", "127.0.0.1@evil.example"),
        ("127.0.0.1", "evil.example/127.0.0.1"),
        ("127.0.0.1", ""),
        ("127.0.0.1", "[::1"),
        ("127.0.0.1", "[evil]"),
        ("127.0.0.1", "::1"),
        ("127.0.0.1", "\u2100.example"),
        ("127.0.0.1", "\udcff"),
        ("/run/socket", HERE),
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_another_machine_or_another_name(remote: str | None, host: str, token: str | None):
    """Neither who is elsewhere nor a name that somebody else's DNS leads here changes anything, however it is written."""
    told = refused(remote, {"host": host}, token)
    assert told is not None
    assert told.startswith(SAME_MACHINE)
    assert told.endswith("with the value of EXTPROC_ADMIN_TOKEN there")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:8080",
        "http://127.0.0.1",
        "http://localhost:9090",
        "https://127.0.0.1:9090.evil.example",
        "null",
        "",
        "http://[::1",
        "//",
    ],
)
def test_pages_of_other_sites(origin: str):
    """What a browser sends for another site's page is refused, though browser and address are on this machine."""
    assert refused("127.0.0.1", {"host": HERE, "origin": origin}) == OTHER_SITE
    assert refused(ELSEWHERE, {"host": THERE, "origin": origin}) == OTHER_SITE


@pytest.mark.parametrize("host", [HERE, "localhost:9090", "[::1]:9090"])
def test_pages_of_its_own(host: str):
    """What its own pages send is not another site's."""
    assert refused("127.0.0.1", {"host": host, "origin": f"http://{host}"}) is None


def test_a_rebound_name_that_is_its_own_origin():
    """A page that reached this address under a foreign name is of that name's site, which is none of ours."""
    told = refused("127.0.0.1", {"host": REBOUND, "origin": f"http://{REBOUND}"})
    assert told is not None
    assert told.startswith(SAME_MACHINE)


@pytest.mark.parametrize("said", ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret "])
def test_the_token(said: str):
    """With the token another machine may, under any name, and no page's origin is asked for."""
    headers = {"host": THERE, "authorization": said}
    assert refused(ELSEWHERE, headers) is None
    assert refused(ELSEWHERE, {**headers, "origin": "http://dashboard.example"}) is None
    assert refused(None, headers) is None


@pytest.mark.parametrize(
    ("said", "token"),
    [
        ("Bearer wrong", TOKEN),
        ("Bearer s3cre", TOKEN),
        ("Bearer s3cret2", TOKEN),
        ("Bearer", TOKEN),
        ("Bearer ", TOKEN),
        ("Basic s3cret", TOKEN),
        ("s3cret", TOKEN),
        ("Bearer S3CRET", TOKEN),
        ("Bearer \udcff", TOKEN),
        ("Bearer ?", "\udcff"),
        ("Bearer ", ""),
        ("Bearer ", None),
        ("Bearer None", None),
        ("Bearer ", " \n"),
    ],
)
def test_no_token(said: str, token: str | None):
    """What is not the token is none, and where none is set, or an empty one, nothing is."""
    told = refused(ELSEWHERE, {"host": THERE, "authorization": said}, token)
    assert told is not None
    assert told.startswith(SAME_MACHINE)


@pytest.mark.parametrize("token", ["s3cret\n", " s3cret", "schlüssel", "\udcff\udcfe"])
def test_any_token(token: str):
    """A file's line end is not part of a token, and bytes that are no text are one all the same."""
    assert refused(ELSEWHERE, {"host": THERE, "authorization": f"Bearer {token.strip()}"}, token) is None


def test_a_wrong_token_takes_nothing_away():
    """On this machine it is not needed, and so it does not matter."""
    assert refused("127.0.0.1", {"host": HERE, "authorization": "Bearer wrong"}) is None
