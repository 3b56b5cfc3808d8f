"""Files, folders, and rules between graphs."""

import os
from pathlib import Path

from extproc.graph import load
from tests.graph.samples import HEAD, MODELS, NODES, loaded, said

GOOD = HEAD + MODELS + NODES


def named(name: str, match: str = "") -> str:
    """A good graph with another name and match."""
    return GOOD.replace("{name: g}", f"{{name: {name}}}").replace("{path: /g}", match or f"{{path: /{name}}}")


def test_a_folder_is_read_recursively(tmp_path):
    """YAML and JSON in any depth, nothing else, and several documents of a file."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one.yml").write_text(named("one") + "---\n" + named("two"))
    (tmp_path / "a" / "b" / "three.yaml").write_text("---\n" + named("three") + "---\n# nothing follows\n")
    (tmp_path / "a" / "b" / "notes.txt").write_text("no graph")
    loading = load([tmp_path])
    assert loading.problems == ()
    assert sorted(graph.name for graph in loading.graphs) == ["one", "three", "two"]


def test_hidden_files_are_passed_over(tmp_path):
    """A mounted ConfigMap holds every file twice: in ..data, and as a link to it."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "g.yaml").write_text(GOOD)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "g.yaml").symlink_to("..data/g.yaml")
    loading = load([tmp_path, tmp_path / "g.yaml"])
    assert loading.problems == ()
    assert [graph.source for graph in loading.graphs] == [str(tmp_path / "g.yaml")]


def test_what_cannot_be_read_is_a_problem(tmp_path):
    """Missing files, empty folders and files without a graph, each named as the user named it."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "comment.yaml").write_text("# nothing\n")
    os.mkfifo(tmp_path / "pipe.yaml")
    paths = ["nowhere.yaml", tmp_path / "empty", tmp_path / "comment.yaml", tmp_path / "pipe.yaml", "nul\0"]
    assert [problem.message for problem in load(paths).errors] == [
        "there is no such file or folder",
        "no graph here: the folder holds no .json, .yaml, .yml file",
        "no graph here: the file holds nothing",
        "not a file or folder",
        "the path cannot be used: embedded null byte",
    ]


def test_paths_stay_as_the_user_gave_them(tmp_path, monkeypatch):
    """Relative stays relative."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "g.yaml").write_text(GOOD.replace("to: n", "to: nn"))
    (problem,) = load([Path("graphs")]).errors
    assert str(problem) == (
        'graphs/g.yaml:10:54: spec.nodes.root.split.routes[1].to: no model or node named "nn"; did you mean "n"?'
    )


def test_two_graphs_with_one_name(tmp_path):
    """An error at the second, which names the first's position; the first still loads."""
    loading = loaded(tmp_path, named("g") + "---\n" + named("g", "{path: /other}"))
    assert said(loading) == [f'g.yaml:14:18: metadata.name: the graph name "g" is taken by {tmp_path}/g.yaml:3:18']
    assert [graph.document.spec.match[0].path for graph in loading.graphs] == ["/g"]


def test_two_graphs_with_one_match(tmp_path):
    """Hosts and header names in any case, and a prefix / is no prefix."""
    first = named("a", "{host: A.example.com, prefix: /, headers: {X-A: b}}, {prefix: /v1}, {path: /p}")
    second = named("b", "{host: a.Example.com, headers: {x-a: b}}, {prefix: /v1/}, {path: /p, host: b}, {prefix: /p}")
    assert said(loaded(tmp_path, first + "---\n" + second)) == [
        f"g.yaml:16:11: spec.match[0]: the same match as another graph's at {tmp_path}/g.yaml:5:11",
        f"g.yaml:16:53: spec.match[1]: the same match as another graph's at {tmp_path}/g.yaml:5:64",
    ]


def test_an_error_in_one_file_does_not_hide_another(tmp_path):
    """Syntax errors end a file, not the loading; documents before them count."""
    (tmp_path / "a.yaml").write_text(named("one") + "---\n[")
    (tmp_path / "b.yaml").write_text(GOOD.replace("to: n", "to: x"))
    (tmp_path / "c.yaml").write_text(named("three"))
    loading = load([tmp_path])
    assert [Path(problem.file).name for problem in loading.problems] == ["a.yaml", "b.yaml"]
    assert [graph.name for graph in loading.graphs] == ["one", "three"]
    assert repr(loading) == "<Loading 2 graphs, 2 errors, 0 warnings>"
