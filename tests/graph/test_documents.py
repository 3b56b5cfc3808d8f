"""Whole documents as data: ``valid/`` loads, ``broken/`` says exactly what its ``#!`` lines say."""

import json

import pytest
from jsonschema import Draft202012Validator

from extproc.errors import GraphError
from extproc.graph import Graph, load, load_raw
from extproc.graph.decode import _Decoder
from extproc.graph.read import read
from extproc.graph.report import Report
from extproc.graph.schema import schema
from tests.graph.samples import BROKEN, HEAD, MODELS, NODES, VALID, loaded


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_a_valid_document_loads_without_a_word(file):
    """No error, no warning, and a graph for each document."""
    loading = load([file])
    assert loading.problems == ()
    assert len(loading.graphs) == file.read_text().count("kind: InferenceGraph")


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_a_broken_document_is_told_all_that_is_wrong(file):
    """Every error at once, in order of position, each with its exact text, and nothing else."""
    expected = [line.removeprefix("#! ") for line in file.read_text().splitlines() if line.startswith("#! ")]
    problems = load([file]).problems
    assert [f"{one.severity} {str(one).removeprefix(f'{file}:')}" for one in problems] == expected


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_a_graph_goes_to_another_process_and_back(file):
    """``raw`` survives JSON and gives the same document and digest."""
    for graph in load([file]).graphs:
        again = load_raw(json.loads(json.dumps(graph.raw)), graph.source)
        assert again == graph
        assert again.id == graph.id


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_a_valid_document_fits_the_schema(file):
    """What the loader takes is valid for an editor too, which reads YAML 1.2."""
    reading = read(file.read_bytes())
    for tree in reading.documents:
        document = _Decoder(Report(str(file), reading.text, tree)).template(tree, ())
        assert [error.message for error in Draft202012Validator(schema()).iter_errors(document)] == []


def test_raw_that_is_no_document_is_the_authors_error():
    """``from_raw`` raises the one error of the tree, not the library's."""
    with pytest.raises(GraphError, match="not what the loader wrote"):
        Graph.from_raw({"kind": "x"})


def test_formatting_does_not_change_the_digest(tmp_path):
    """Comments, key order, quotes, JSON and written-out defaults make no other graph; a value does."""
    one = loaded(tmp_path, HEAD + MODELS + NODES).graphs[0]
    yaml = "# hello\n" + HEAD.replace("{path: /g}", '{"path": "/g"}') + "  timeout: 30s\n" + NODES + MODELS
    other = loaded(tmp_path, yaml, "other.yaml").graphs[0]
    document = json.dumps({**one.raw, "spec": {**one.raw["spec"], "timeout": "30000ms"}}, indent="\t")
    third = loaded(tmp_path, document, "third.json").graphs[0]
    changed = loaded(tmp_path, HEAD + MODELS + NODES.replace("weight: 1}]", "weight: 2}]")).graphs[0]
    assert one.id == other.id == third.id
    assert one.digest != changed.digest
    assert len(one.digest) == 8


def test_a_graph_says_what_it_is(tmp_path):
    """One line: id, sizes, file."""
    graph = loaded(tmp_path, HEAD + MODELS + NODES).graphs[0]
    assert repr(graph) == f"<Graph g@{graph.digest}: 1 node, 2 models, {tmp_path}/g.yaml>"
