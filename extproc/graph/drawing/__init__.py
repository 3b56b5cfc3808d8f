"""A graph as a picture: Mermaid text, or SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

from extproc.graph.drawing.mermaid import mermaid
from extproc.graph.drawing.picture import picture
from extproc.graph.drawing.svg import svg

if TYPE_CHECKING:
    from extproc.graph.graph import Graph

Format: TypeAlias = Literal["mermaid", "svg"]


def draw(graph: Graph, format: Format = "mermaid") -> str:  # noqa: A002 - the command's own word
    """The graph as Mermaid flowchart text, or as a self-contained SVG document."""
    drawn = picture(graph)
    match format:
        case "mermaid":
            return mermaid(drawn)
        case "svg":
            return svg(drawn)
        case _:
            assert_never(format)
