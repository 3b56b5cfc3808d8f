"""YAML as a tree of positioned values, before it means anything."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from extproc.graph.problems import Path

Style: TypeAlias = Literal["plain", "tagged", "'", '"', "|", ">"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A position: ``line`` and ``column`` from 1, ``index`` of the character in the file from 0."""

    line: int = 1
    column: int = 1
    index: int = 0


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar as written (``tagged``: plain, but after ``!!str``): what a plain one means is told by the type that is expected in its place."""

    text: str
    style: Style
    mark: Mark
    size: int = 1
    depth: int = 0

    @property
    def plain(self) -> bool:
        """Whether it stands without quotes."""
        return self.style == "plain"


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list; ``size`` counts every value in it as if aliases were written out, ``depth`` its levels."""

    items: tuple[Tree, ...]
    mark: Mark
    size: int = 1
    depth: int = 1


@dataclass(frozen=True)
class Mapping:
    """A mapping, with all of its entries in order, duplicates too."""

    entries: tuple[tuple[Tree, Tree], ...]
    mark: Mark
    size: int = 1
    depth: int = 1

    @cached_property
    def index(self) -> dict[str, tuple[Scalar, Tree]]:
        """The first entry of each key, as written and, as headers' names are in the document, in lower case."""
        found = [(key, value) for key, value in self.entries if isinstance(key, Scalar)]
        lowered = {key.text.lower(): (key, value) for key, value in reversed(found)}
        return lowered | {key.text: (key, value) for key, value in reversed(found)}


@dataclass(frozen=True, slots=True)
class Broken:
    """A value that was reported already: nothing more is to be said about it."""

    mark: Mark
    size: int = 1
    depth: int = 0


Tree: TypeAlias = Scalar | Sequence | Mapping | Broken


def locate(tree: Tree, path: Path) -> Tree:
    """The value at ``path``, or the last one on the way to it."""
    for part in path:
        below = _below(tree, part)
        if below is None:
            return tree
        tree = below
    return tree


def _below(tree: Tree, part: str | int) -> Tree | None:
    if isinstance(tree, Sequence) and isinstance(part, int) and part < len(tree.items):
        return tree.items[part]
    if isinstance(tree, Mapping) and isinstance(part, str) and part in tree.index:
        return tree.index[part][1]
    return None
