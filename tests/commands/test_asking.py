"""``extproc report``, ``promote`` and ``rollback`` against an admin address: what they print, and how they end."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from extproc.admin.challenges import NoChallenges, NotThere, Refused
from extproc.challenge.store.failure import StoreError
from extproc.cli import main
from tests.admin.watched import Address, ByHand, listening
from tests.challenge import documents
from tests.kit.stub import ModelStub, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

DONE = {
    "graph": "fraud",
    "challenger": "gbm",
    "champion": "v2",
    "generation": "fraud@1a",
    "forced": False,
    "seconds": 0.25,
}


@pytest.fixture
def challenges():
    """A challenge, changed as it is asked."""
    return Changing(documents.report(documents.number()))


class Changing(ByHand):
    """Says what was done."""

    async def promote(self, graph: str, challenger: str, *, force: bool) -> Any:
        """Say that it was."""
        await super().promote(graph, challenger, force=force)
        return {**DONE, "event": "promoted", "forced": force}

    async def roll_back(self, graph: str) -> Any:
        """Say that it was."""
        await super().roll_back(graph)
        return {**DONE, "event": "rolled back", "champion": "v1"}


@pytest.fixture
async def address(challenges: Changing):
    """Where they are."""
    async with listening(challenges) as found:
        yield found


@pytest.fixture
def called(capsysbinary: pytest.CaptureFixture[bytes]):
    """Calls the command line, and gives its exit code, output and errors."""

    async def call(*words: str, admin: Address | str) -> tuple[int, str, str]:
        where = admin if isinstance(admin, str) else f"127.0.0.1:{admin.port}"
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main, [*words, "--admin", where])
        out, err = capsysbinary.readouterr()
        return int(str(ended.value.code)), out.decode(), err.decode()

    return call


async def test_a_table(address: Address, called: Callable[..., Any]):
    """Of one graph, or of all, with the figures that people look for."""
    for words in (["report"], ["report", "fraud"]):
        code, out, err = await called(*words, admin=address)
        assert (code, err) == (0, "")
        assert "champion and challenger" in out
        assert "gbm" in out


async def test_json(address: Address, challenges: Changing, called: Callable[..., Any]):
    """Of one graph its report as it is; of all a list of them."""
    code, out, _ = await called("report", "fraud", "--json", admin=address)
    assert (code, json.loads(out)) == (0, challenges.reports["fraud"])
    code, out, _ = await called("report", "--json", admin=address)
    assert (code, json.loads(out)) == (0, [challenges.reports["fraud"]])


async def test_html(address: Address, called: Callable[..., Any]):
    """A page that is whole and does not load itself again."""
    code, out, _ = await called("report", "fraud", "--html", admin=address)
    assert code == 0
    assert out.startswith("<!doctype html>")
    assert out.rstrip().endswith("</html>")
    assert 'http-equiv="refresh"' not in out
    assert await called("report", "--html", admin=address) == (0, out, "")


async def test_a_page_is_of_one_graph(called: Callable[..., Any]):
    """Of several it is not known which."""
    reports = [documents.report(documents.number(), graph=name) for name in ("fraud", "other")]
    async with listening(ByHand(*reports)) as address:
        code, out, err = await called("report", "--html", admin=address)
    assert (code, out) == (1, "")
    assert err == "extproc: a page is of one graph; there are fraud, other\n"


async def test_no_challenge(called: Callable[..., Any]):
    """People are told that there is none; as JSON it is an empty list."""
    async with listening(NoChallenges()) as address:
        assert await called("report", admin=address) == (0, "No graph that is loaded holds a challenge.\n", "")
        assert await called("report", "--json", admin=address) == (0, "[]\n", "")
        code, _, err = await called("report", "fraud", admin=address)
        assert code == 1
        assert "no graph that is loaded holds a challenge, fraud neither" in err


async def test_promote(address: Address, challenges: Changing, called: Callable[..., Any]):
    """What was done is said, with the generation and how long it took."""
    assert await called("promote", "fraud", "gbm", admin=address) == (
        0,
        "fraud: gbm was promoted; the champion is v2\nin force as fraud@1a after 0.25 s\n",
        "",
    )
    code, out, _ = await called("promote", "fraud", "gbm", "--force", admin=address)
    assert code == 0
    assert out.startswith("fraud: gbm was promoted, against its verdict; the champion is v2\n")
    code, out, _ = await called("promote", "fraud", "gbm", "--json", admin=address)
    assert (code, json.loads(out)) == (0, {**DONE, "event": "promoted"})
    assert [one[1:] for one in challenges.asked] == [
        ("fraud", "gbm", False),
        ("fraud", "gbm", True),
        ("fraud", "gbm", False),
    ]


async def test_rollback(address: Address, challenges: Changing, called: Callable[..., Any]):
    """What was undone is said."""
    assert await called("rollback", "fraud", admin=address) == (
        0,
        "fraud: the promotion of gbm was rolled back; the champion is v1\nin force as fraud@1a after 0.25 s\n",
        "",
    )
    code, out, _ = await called("rollback", "fraud", "--json", admin=address)
    assert (code, json.loads(out)["event"]) == (0, "rolled back")
    assert challenges.asked == [("rollback", "fraud")] * 2


@pytest.mark.parametrize(
    "trouble",
    [Refused("gbm is not promoted: its verdict is collecting"), NotThere("no graph named x"), StoreError("it is away")],
)
async def test_what_is_not_done(address: Address, challenges: Changing, called: Callable[..., Any], trouble: Exception):
    """The command ends with 1 and the reason alone, on the side where errors belong."""
    challenges.trouble = trouble
    for words in (["promote", "fraud", "gbm"], ["rollback", "fraud"], ["report", "fraud"]):
        assert await called(*words, admin=address) == (1, "", f"extproc: {trouble}\n")


@pytest.mark.parametrize("name", ["../feedback", "a/b", "?", "#", "%", "é", " ", "."])
async def test_names_go_as_they_are(address: Address, challenges: Changing, called: Callable[..., Any], name: str):
    """Whatever is typed for a graph is looked for as one, and leads nowhere else."""
    code, _, _ = await called("rollback", name, admin=address)
    if name != ".":  # which no path can hold
        assert (code, challenges.asked) == (0, [("rollback", name)])


async def test_nobody_is_there(called: Callable[..., Any]):
    """It is said where nobody answered, and what to look at."""
    admin = f"127.0.0.1:{free_port()}"
    code, out, err = await called("report", admin=admin)
    assert (code, out) == (1, "")
    assert err == f"extproc: {admin}: Connection refused; is extproc up running, and is that its --admin?\n"


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        ({"json": {"other": 1}}, "does not answer as extproc does; is that its --admin?"),
        ({"json": [1]}, "does not answer as extproc does; is that its --admin?"),
        ({"body": b"<html>"}, "does not answer as extproc does; is that its --admin?"),
        ({"body": b"\xff"}, "does not answer as extproc does; is that its --admin?"),
        ({"status": 404, "body": b"nothing here"}, "the admin address answered 404"),
        ({"status": 500, "json": {"error": "x"}}, "the admin address answered 500"),
        ({"stop": "close"}, "is extproc up running, and is that its --admin?"),
        ({"stop": "reset"}, "is extproc up running, and is that its --admin?"),
        ({"size": 100, "stop": "close", "stop_at": "middle"}, "is extproc up running, and is that its --admin?"),
    ],
    ids=range(9),
)
async def test_somebody_else_is_there(called: Callable[..., Any], behaviour: dict[str, Any], told: str):
    """Who answers something else, or breaks off, is told from extproc, in one line."""
    with ModelStub("other", **behaviour) as stub:
        for words in (["report"], ["report", "fraud"], ["promote", "fraud", "gbm"], ["rollback", "fraud"]):
            code, out, err = await called(*words, admin=f"127.0.0.1:{stub.port}")
            assert (code, out) == (1, "")
            assert err.startswith("extproc: ")
            assert err.endswith(f"{told}\n")
            assert err.count("\n") == 1


@pytest.mark.parametrize("admin", ["nowhere", "host:", ":80", "127.0.0.1:99999", "127.0.0.1:x", ""])
async def test_an_address_that_is_none(called: Callable[..., Any], admin: str):
    """The command is called wrongly then."""
    code, out, err = await called("report", admin=admin)
    assert (code, out) == (2, "")
    assert "expected HOST:PORT" in err


async def test_a_host_that_is_none(called: Callable[..., Any]):
    """What no name can be is told, as is one that nobody knows."""
    for host in ("a b", "x" * 300, "nowhere.invalid"):
        code, _, err = await called("report", admin=f"{host}:80")
        assert code == 1
        assert "Traceback" not in err


async def test_the_token_is_sent(called: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    """As it is in the environment, without the line end that a file gave it; without one there is no such header."""
    with ModelStub("admin", json={"challenges": []}) as stub:
        for said, wanted in (("s3cret\n", "Bearer s3cret"), ("\udcffx", "Bearer \xffx"), ("", None), (" ", None)):
            monkeypatch.setenv("EXTPROC_ADMIN_TOKEN", said)
            stub.forget()
            assert (await called("report", "--json", admin=f"127.0.0.1:{stub.port}"))[0] == 0
            assert stub.requests[0].header("authorization") == wanted


async def test_a_token_that_no_header_can_hold(called: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    """It is told, and not shown."""
    monkeypatch.setenv("EXTPROC_ADMIN_TOKEN", "hush\nhush")
    code, _, err = await called("report", admin=f"127.0.0.1:{free_port()}")
    assert code == 1
    assert "EXTPROC_ADMIN_TOKEN" in err
    assert "hush" not in err


async def test_an_address_of_six(challenges: Changing, called: Callable[..., Any]):
    """``[::1]:PORT`` is asked, and is this machine."""
    from extproc.admin.app import AdminServer
    from tests.admin.watched import Observed

    server = AdminServer(Observed(challenges), "::1", 0, None)
    await server.start()
    try:
        assert (await called("rollback", "fraud", admin=server.address))[0] == 0
    finally:
        await server.stop()
    assert challenges.asked == [("rollback", "fraud")]
