"""Shares as bars."""

from __future__ import annotations

from typing import Final

WIDTH: Final = 32  # characters for the whole, when there is room


def bar(share: float, width: int, *, ascii_only: bool) -> tuple[str, str]:
    """The bar of a share between 0 and 1, and what remains to ``width``; one who is there at all is seen."""
    full, empty = ("#", ".") if ascii_only else ("█", "░")
    filled = max(round(share * width), 1 if share > 0 else 0)
    return full * filled, empty * (width - filled)
