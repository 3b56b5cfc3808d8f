"""Plans from a few lines of YAML, with what every graph must have filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from extproc.graph import Graph, load_raw
from extproc.plan.compile import compile_graph

if TYPE_CHECKING:
    from extproc.plan.plan import Plan


class Loader(yaml.SafeLoader):
    """YAML in which ``on`` and ``off`` are texts, as they are for the graph language."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

TWO_MODELS = """
models:
  a: {url: "http://a:8080/v1/models/a:predict"}
  b: {url: "http://b:8080/v1/models/b:predict"}
"""


def read(text: str) -> Any:
    """The value of a YAML text."""
    return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader with fewer booleans


def graph(spec: str, name: str = "fraud", match: list[dict[str, Any]] | None = None) -> Graph:
    """A graph of a spec in YAML; durations are seconds and sizes bytes, as in ``Graph.raw``."""
    raw = {
        "apiVersion": "extproc.dev/v1",
        "kind": "InferenceGraph",
        "metadata": {"name": name},
        "spec": {"match": match or [{"path": f"/{name}"}], **read(spec)},
    }
    return load_raw(raw, f"{name}.yaml")


def plan(spec: str, name: str = "fraud", match: list[dict[str, Any]] | None = None) -> Plan:
    """A plan of a spec in YAML."""
    return compile_graph(graph(spec, name, match))


def rooted(root: str, name: str = "fraud", more: str = "") -> Any:
    """A plan of a root node in YAML flow style over the models ``a`` and ``b``; ``more`` are further nodes."""
    return plan(f"{TWO_MODELS}\nnodes:\n  root: {root}\n{more}", name)
