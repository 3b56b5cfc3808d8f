"""The sample graphs go with the demo: their models exist, and their curl lines are requests that these models take."""

import json
import random
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from extproc.demo.model_server import serve_models
from extproc.demo.models import train_models
from extproc.engine.explain import explain
from extproc.graph import load
from extproc.graph.drawing import draw
from extproc.plan.compile import compile_graph
from tests.kit import client

GRAPHS = sorted((Path(__file__).parents[2] / "graphs").glob("*.yaml"))
INGRESS = "127.0.0.1:10000"  # where `extproc up` listens
ADMIN = "127.0.0.1:9090"  # and its admin address
MODELS = "127.0.0.1:18080"  # where the model server listens, unless the demo says otherwise
NOBODY = "127.0.0.1:18099"  # where nobody listens: the model of a fallback that is down

pytestmark = pytest.mark.parametrize("path", GRAPHS, ids=[path.stem for path in GRAPHS])


@pytest.fixture(scope="module")
def models():
    return train_models()


@pytest.fixture
async def port(models):
    async with await serve_models(models) as running:
        yield running.port


def curl(path):
    """The url, the body and the headers of the first curl line in a graph's header."""
    return curls(path)[0]


def curls(path):
    """The same of each."""
    lines = [line.removeprefix("# ") for line in path.read_text().splitlines() if line.startswith("# curl ")]
    return [parts(shlex.split(line)) for line in lines]


def parts(words):
    (url,) = [word for word in words if word.startswith("http")]
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    return urlsplit(url), words[words.index("-d") + 1], headers


def spec(path):
    return yaml.safe_load(path.read_text())["spec"]


def test_names(path):
    """A file is named like its graph, and says in its first line what it shows."""
    assert yaml.safe_load(path.read_text())["metadata"]["name"] == path.stem
    assert path.read_text().startswith("# ")


def test_curl_enters_the_graph(path):
    """The curl line goes to where `extproc up` listens, and to a path of the graph's own."""
    url, _, _ = curl(path)
    assert url.netloc == INGRESS
    assert any(
        url.path == entry.get("path") or url.path.startswith(f"{entry.get('prefix')}/") for entry in spec(path)["match"]
    )


def test_curl_tells_what_became_of_it(path):
    """Where there is a challenge, and nowhere else, a second curl line tells the label of the first one's request."""
    (_, _, headers), *others = curls(path)
    told = [(url.netloc, url.path, json.loads(body)) for url, body, _ in others]
    challenges = [node["challenge"] for node in spec(path)["nodes"].values() if "challenge" in node]
    label = {"requestId": headers.get("x-request-id"), "label": 0}
    assert told == [(ADMIN, "/feedback", label) for _ in challenges]
    assert all(label["requestId"] for _ in challenges)


def test_model_urls(path):
    """Every model is at the documented address, but for one that is down."""
    elsewhere = {urlsplit(model["url"]).netloc for model in spec(path).get("models", {}).values()} - {MODELS}
    assert elsewhere == ({NOBODY} if path.stem == "wine-fallback" else set())


def test_no_warnings(path):
    """A sample has neither errors nor warnings."""
    assert load([path]).problems == ()


@pytest.mark.parametrize("form", ["mermaid", "svg"])
def test_picture(path, form):
    """A sample can be drawn, and its picture names its models."""
    (graph,) = load([path]).graphs
    assert all(name in draw(graph, form) for name in [graph.name, *spec(path).get("models", {})])


def test_explained(path):
    """The curl line's request is explained: it enters the graph, and calls or an answer follow."""
    url, body, headers = curl(path)
    plans = [compile_graph(graph) for graph in load([path.parent]).graphs]
    pseudo = {":method": "POST", ":path": url.path, ":authority": url.netloc}
    told = explain(plans, pseudo | headers, body.encode(), random.Random(7))
    assert told.plan
    assert told.plan.graph == path.stem
    assert {call.model for call in told.calls} <= set(spec(path).get("models", {}))
    assert told.calls or told.answer
    assert told.failures == []


async def test_models_take_the_curl_lines_body(path, port):
    """Every model of the graph answers the curl line's body."""
    _, body, _ = curl(path)
    for model in spec(path).get("models", {}).values():
        if urlsplit(model["url"]).netloc == NOBODY:
            continue
        answer = await client.request(port, "POST", urlsplit(model["url"]).path, json=json.loads(body))
        assert answer.status == 200, answer.body
