"""The sample graphs, and how they reach models that are at another address than the samples say."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from extproc.errors import StartError
from extproc.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Iterable

MODELS: Final = "http://127.0.0.1:18080"  # where the sample graphs say that the models are
_PACKAGE: Final = Path(__file__).parent
_FOLDERS: Final = (_PACKAGE / "graphs", _PACKAGE.parents[1] / "graphs")  # of a wheel; of the repository


def folder() -> Path:
    """The folder of the sample graphs.

    Raises:
        StartError: This installation has none.
    """
    found = next((place for place in _FOLDERS if place.is_dir()), None)
    if found is None:
        raise StartError("the sample graphs are missing: neither " + " nor ".join(map(str, _FOLDERS)) + " is there")
    return found


def moved(graphs: Iterable[Graph], models: str) -> tuple[Graph, ...]:
    """The graphs with their models at ``models``, an address like ``http://127.0.0.1:40001``.

    They are other graphs, with digests of their own: that of the answers' ``x-extproc-graph``.
    """
    return tuple(Graph.from_raw(_moved(graph.raw, models), graph.source) for graph in graphs)


def _moved(raw: dict[str, Any], models: str) -> dict[str, Any]:
    document = copy.deepcopy(raw)
    for model in document["spec"].get("models", {}).values():
        if "url" in model:
            model["url"] = _at(model["url"], models)
        if "urls" in model:
            model["urls"] = [_at(url, models) for url in model["urls"]]
    return document


def _at(url: str, models: str) -> str:
    if url == MODELS or url.startswith(f"{MODELS}/"):
        return models + url.removeprefix(MODELS)
    return url
