"""The ext_proc conversation as transcripts: feed this, expect that."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.engine.pairing import UNCHALLENGED
from extproc.engine.seams import Seams
from extproc.errors import ProtocolError
from extproc.exchange.exchange import Exchange
from tests.engine.deciding import Recording, Scripted, fed, generations
from tests.engine.pairs import Told
from tests.engine.scripted import Says, ScriptedCaller, planned
from tests.engine.virtual import run
from tests.exchange.talking import PLANS, difference, exchange, message, readable

TRANSCRIPTS = yaml.safe_load(Path(__file__).with_name("transcripts.yaml").read_text(encoding="utf-8"))


def hashed(value):
    """Data with every ``@HASH`` replaced by the hash of the graph named before it."""
    if isinstance(value, str):
        return re.sub(r"(\w+)@HASH", lambda found: PLANS[found[1]].id, value)
    if isinstance(value, list):
        return [hashed(item) for item in value]
    return {key: hashed(item) for key, item in value.items()} if isinstance(value, dict) else value


def replied(talk, said, expected, pair):
    """A reply as data; a refusal as the part of its reason that was expected, if it holds that part."""
    before = repr(talk), talk.done, repr(pair)
    try:
        return readable(fed(talk, message(said)))
    except ProtocolError as error:
        assert (repr(talk), talk.done, repr(pair)) == before, "a refused message changed the exchange"
        wanted = expected.get("refused")
        return {"refused": wanted if wanted is not None and wanted in str(error) else str(error)}


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript["name"])
def test_transcript(transcript):
    """Every message of the transcript gets the reply that stands beside it, and refused ones change nothing."""
    pair = Told(**transcript["pair"]) if "pair" in transcript else UNCHALLENGED
    talk = exchange(transcript.get("graph"), transcript.get("chance", ()), challenging=pair)
    expected = hashed(transcript["expect"])
    assert len(expected) == len(transcript["feed"])
    found = [replied(talk, said, reply, pair) for said, reply in zip(transcript["feed"], expected, strict=True)]
    if different := difference(expected, found):
        pytest.fail(f"{transcript['name']}\n{different}", pytrace=False)
    if "gone" in transcript:
        talk.gone()
        talk.gone()
    assert talk.done is transcript["done"]
    if isinstance(pair, Told):
        assert pair.events == transcript["told"]
        copied = [payload.body.decode() for payload in pair.payloads if payload.body is not None]
        assert copied == ([transcript["copied"]] if "copied" in transcript else [])
        assert all(payload.own for payload in pair.payloads)


class Rows(dict[Any, Any]):
    """A table of phases that remembers which of its rows were used."""

    def __init__(self, table):
        super().__init__(table)
        self.used = set()

    def get(self, key, default=None):
        """Return a row."""
        self.used.add(key)
        return super().get(key, default)


def test_every_row_of_the_table_has_a_transcript(monkeypatch):
    """Whatever Envoy may say at any phase is said in one of them, and replied to."""
    rows = Rows(Exchange._TABLE)
    monkeypatch.setattr(Exchange, "_TABLE", rows)
    for transcript in TRANSCRIPTS:
        test_transcript(transcript)
    assert rows.keys() <= rows.used


def test_gone_before_the_reply_is_there():
    """A reply that comes when Envoy is gone leaves nobody watching: the pair is told that it left, once."""

    async def main():
        told, caller = Told(), ScriptedCaller({"b": Says()})
        chain = "{chain: {steps: [{name: one, to: b}, {name: two, to: a}]}}"
        plan = planned(f"{{root: {{challenge: {{champion: {chain}, challengers: [{{name: x, to: c}}]}}}}}}")
        seams = Seams(Scripted(), Recording(), caller, asyncio.get_running_loop().time, told)
        talk = Exchange(generations([plan]), plan.id, seams)
        fed(talk, message({"headers": {}}))
        reply = talk.feed(message({"body": "{}"}))
        talk.gone()
        assert not isinstance(reply, bytes)
        await reply
        assert told.events == ["reached root", "begin", "handed over a", "left"]
        assert talk.done
        talk.gone()
        assert told.events[-2:] == ["handed over a", "left"]

    run(main())


def test_a_mismatch_is_a_readable_diff():
    """Two transcripts that differ in one header are told apart in one removed and one added line."""
    one = [{"request_headers": {"set_headers": ["x-a: 1", "x-b: 2"]}}]
    two = [{"request_headers": {"set_headers": ["x-a: 1", "x-b: 3"]}}]
    lines = difference(one, two).splitlines()
    assert [line for line in lines if line[0] in "+-" and line[:3] not in {"+++", "---"}] == [
        "-    - 'x-b: 2'",
        "+    - 'x-b: 3'",
    ]
    assert difference(one, one) == ""
