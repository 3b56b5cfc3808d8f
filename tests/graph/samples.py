"""Where the sample documents are, and a short way to write more."""

from __future__ import annotations

from pathlib import Path

from extproc.graph import Loading, load

HERE = Path(__file__).parent
VALID = sorted((HERE / "valid").glob("*.yaml"))
BROKEN = sorted((HERE / "broken").glob("*.yaml"))

HEAD = """apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: g}
spec:
  match: [{path: /g}]
"""
MODELS = """  models:
    m: {url: http://m}
    n: {url: http://n}
"""
NODES = """  nodes:
    root: {split: {routes: [{to: m, weight: 1}, {to: n, weight: 1}]}}
"""


def loaded(folder: Path, text: str | bytes, name: str = "g.yaml") -> Loading:
    """What is loaded from one file with this text."""
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load([file])


def said(loading: Loading, name: str = "g.yaml") -> list[str]:
    """Problems as text, without the folder."""
    return [str(problem)[str(problem).index(name) :] for problem in loading.problems]
