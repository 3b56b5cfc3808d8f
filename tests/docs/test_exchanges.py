"""What the documents show of requests and answers is what the engine does with these documents."""

import pytest

from extproc.graph import load
from extproc.plan.compile import compile_graph
from tests.docs.documents import PAGES, Block, blocks
from tests.docs.exchanges import read, shown
from tests.engine.scripted import ask

EXCHANGES = [block for page in PAGES for block in blocks(page) if block.language == "exchange"]
KINDS = ("chain", "ensemble", "fallback", "cascade")


def document(block: Block) -> str:
    """The document that an exchange names."""
    (found,) = [one.text for one in blocks(block.page) if one.is_graph and one.name == block.name]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_shown(kind):
    """Each kind of node that makes sub-calls is shown at work."""
    assert [block for block in EXCHANGES if f"      {kind}:" in document(block)]


@pytest.mark.parametrize("block", EXCHANGES, ids=str)
def test_an_exchange_is_as_shown(block: Block, tmp_path):
    """The document, loaded and run with models that answer as shown, sends and answers what is shown."""
    file = tmp_path / "graph.yaml"
    file.write_text(document(block), encoding="utf-8")
    (graph,) = load([file]).graphs
    exchange = read(block)
    told = ask(compile_graph(graph), exchange.script, exchange.client)
    assert exchange.ends
    assert shown(told, exchange) == exchange.ends
    assert {name: told.bodies[name] for name in exchange.sent} == exchange.sent
    assert told.bodies.keys() == exchange.script.keys()
