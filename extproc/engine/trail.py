"""What the client is shown of the way: decisions and calls in document order, whatever came back first."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

_Part: TypeAlias = "str | Trail"


class Trail:
    """The decisions and calls below one place of the graph; places side by side have trails of their own."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[_Part] = []

    def __repr__(self) -> str:
        """Say it as the client sees it."""
        return f"<Trail {self.text()}>"

    def add(self, entry: str) -> None:
        """Note a decision (``root=canary``) or a call (``fraud-v1``, ``fraud-v1!503``)."""
        self._parts.append(entry)

    def below(self, places: int) -> list[Trail]:
        """Return trails for places that follow here in document order."""
        trails = [Trail() for _ in range(places)]
        self._parts.extend(trails)
        return trails

    def text(self) -> str:
        """Return the value of ``x-extproc-route``."""
        return ",".join(self.entries())

    def entries(self) -> Iterator[str]:
        """Yield what was noted, in document order."""
        for part in self._parts:
            if isinstance(part, str):
                yield part
            else:
                yield from part.entries()
