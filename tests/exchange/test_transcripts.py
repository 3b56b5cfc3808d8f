"""The ext_proc conversation as transcripts: feed this, expect that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from extproc.errors import ProtocolError
from tests.engine.deciding import fed
from tests.exchange.talking import PLANS, difference, exchange, message, readable

TRANSCRIPTS = yaml.safe_load(Path(__file__).with_name("transcripts.yaml").read_text(encoding="utf-8"))


def hashed(value):
    """Data with every ``@HASH`` replaced by the hash of the graph named before it."""
    if isinstance(value, str):
        return re.sub(r"(\w+)@HASH", lambda found: PLANS[found[1]].id, value)
    if isinstance(value, list):
        return [hashed(item) for item in value]
    return {key: hashed(item) for key, item in value.items()} if isinstance(value, dict) else value


def replied(talk, said, expected):
    """A reply as data; a refusal as the part of its reason that was expected, if it holds that part."""
    before = repr(talk), talk.done
    try:
        return readable(fed(talk, message(said)))
    except ProtocolError as error:
        assert (repr(talk), talk.done) == before, "a refused message changed the exchange"
        wanted = expected.get("refused")
        return {"refused": wanted if wanted is not None and wanted in str(error) else str(error)}


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda transcript: transcript["name"])
def test_transcript(transcript):
    """Every message of the transcript gets the reply that stands beside it, and refused ones change nothing."""
    talk = exchange(transcript.get("graph"), transcript.get("chance", ()))
    expected = hashed(transcript["expect"])
    assert len(expected) == len(transcript["feed"])
    found = [replied(talk, said, reply) for said, reply in zip(transcript["feed"], expected, strict=True)]
    if different := difference(expected, found):
        pytest.fail(f"{transcript['name']}\n{different}", pytrace=False)
    assert talk.done is transcript["done"]


def test_every_row_of_the_table_has_a_transcript():
    """Each need of a plan is met with headers, and with headers that end the stream."""
    met = {(one.get("graph"), next(iter(one["feed"][0]))) for one in TRANSCRIPTS}
    assert {(graph, kind) for graph in ("header", "body", None) for kind in ("headers", "end")} <= met


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
