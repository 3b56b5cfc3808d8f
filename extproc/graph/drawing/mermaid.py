"""A picture as Mermaid flowchart text, which GitHub and GitLab draw."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extproc.graph.drawing.picture import Arrow, Box, Picture

SHAPES = {
    "entry": ("([", "])"),
    "split": ("{{", "}}"),
    "switch": ("{", "}"),
    "chain": ("[[", "]]"),
    "ensemble": ("[/", "\\]"),
    "fallback": ("[\\", "/]"),
    "cascade": ("[\\", "\\]"),
    "challenge": ("{{", "}}"),
    "respond": (">", "]"),
    "model": ("[(", ")]"),
}
"""Mermaid's brackets around a label."""

COLOURS = {
    "entry": "fill:#e2e8f0,stroke:#475569,color:#0f172a",
    "model": "fill:#dcfce7,stroke:#15803d,color:#052e16",
    "respond": "fill:#fee2e2,stroke:#b91c1c,color:#450a0a",
    "challenge": "fill:#f3e8ff,stroke:#7e22ce,color:#3b0764",
    "node": "fill:#dbeafe,stroke:#1d4ed8,color:#172554",
}
"""Fill, stroke and text together, so that a dark page does not matter."""

SPECIAL = re.compile(r'["#&<>`\\;{}|()\[\]]|[^\x20-\x7e\xa0-\U0010ffff]')
MAX_LABEL = 80


def mermaid(picture: Picture) -> str:
    """``flowchart LR`` with one line for each box and arrow."""
    ids = {box.name: f"n{index}" for index, box in enumerate(picture.boxes)}
    lines = ["flowchart LR", f"  %% {picture.title}"]
    lines += [f"  {_box(ids[box.name], box)}" for box in picture.boxes]
    lines += [f"  {_arrow(ids, arrow)}" for arrow in picture.arrows]
    used = {_colour(box) for box in picture.boxes}
    lines += [f"  classDef {name} {style}" for name, style in COLOURS.items() if name in used]
    return "\n".join(lines) + "\n"


def _box(name: str, box: Box) -> str:
    opened, closed = SHAPES[box.look]
    detail = f"<br/><small>{escape(box.detail)}</small>" if box.detail else ""
    return f'{name}{opened}"<b>{escape(box.title)}</b>{detail}"{closed}:::{_colour(box)}'


def _arrow(ids: dict[str, str], arrow: Arrow) -> str:
    line = "-.->" if arrow.aside else "-->"
    label = f'|"{escape(arrow.label)}"|' if arrow.label else ""
    return f"{ids[arrow.source]} {line}{label} {ids[arrow.target]}"


def _colour(box: Box) -> str:
    return box.look if box.look in COLOURS else "node"


def escape(text: str) -> str:
    """Text for a quoted label: shortened, what Mermaid or HTML could read as their own as ``#NN;``."""
    short = text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1] + "…"
    return SPECIAL.sub(lambda found: f"#{ord(found[0])};", short)
