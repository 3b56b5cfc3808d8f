"""The tour's scenes, in order. Importing this loads scikit-learn, for the held-out rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.demo.scenes import canary, cascade, chain, challenge, fallback, maintenance, nothing, switch, vote, wine

if TYPE_CHECKING:
    from extproc.demo.scene import Scene

_ORDER = (canary, switch, wine, chain, vote, cascade, fallback, maintenance, nothing, challenge)


def scenes() -> tuple[Scene, ...]:
    """Every scene, built anew."""
    return tuple(module.scene() for module in _ORDER)
