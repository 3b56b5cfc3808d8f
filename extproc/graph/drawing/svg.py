"""A picture as SVG: self-contained, for light and dark pages, readable by screen readers."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from extproc.graph.drawing.placing import SMALL, STUB, TITLE, Line, Placed, place, shortened

if TYPE_CHECKING:
    from extproc.graph.drawing.picture import Picture

STYLE = """
svg { color-scheme: light dark; }
.page { fill: #ffffff; }
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #0f172a; }
.title { font-size: 13.5px; font-weight: 600; }
.detail, .label { font-size: 11.5px; fill: #475569; }
.arrow { fill: none; stroke: #94a3b8; stroke-width: 1.6; }
.aside { stroke-dasharray: 5 4; }
.head { fill: #94a3b8; }
.box { stroke-width: 1.4; fill: #eff6ff; stroke: #3b82f6; }
.entry { fill: #f1f5f9; stroke: #64748b; }
.model { fill: #f0fdf4; stroke: #22a35a; }
.respond { fill: #fef2f2; stroke: #e05252; }
.challenge { fill: #faf5ff; stroke: #a855f7; }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117; }
  text { fill: #e6edf3; }
  .detail, .label { fill: #9fb0c3; }
  .arrow { stroke: #64748b; }
  .head { fill: #64748b; }
  .box { fill: #12233f; stroke: #4f8ff7; }
  .entry { fill: #1b222c; stroke: #7d8ba0; }
  .model { fill: #0f2a1b; stroke: #34b36a; }
  .respond { fill: #331717; stroke: #e06a6a; }
  .challenge { fill: #26163a; stroke: #b57bf8; }
}
"""

OPENING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
    'role="img" aria-labelledby="title desc">'
)
MARKER = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" '
    'markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 0.5 L8 4 L0 7.5 z"/></marker></defs>'
)

RADIUS = {"model": 18, "entry": 26, "respond": 4}
"""Corners tell kinds apart without colours; a node's are 9."""


def svg(picture: Picture) -> str:
    """The whole document."""
    placed = place(picture)
    width, height = round(placed.width), round(placed.height)
    parts = [
        OPENING.format(width=width, height=height),
        f'<title id="title">{_text(f"Inference graph {picture.title}")}</title>',
        f'<desc id="desc">{_text(_description(picture))}</desc>',
        f"<style>{STYLE}</style>",
        MARKER,
        f'<rect class="page" width="{width}" height="{height}" rx="8"/>',
        *(_arrow(line) for line in placed.lines),
        *(_box(box) for box in placed.boxes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _description(picture: Picture) -> str:
    titles = {box.name: box.title for box in picture.boxes}
    ways = [
        f"{titles[one.source]} to {titles[one.target]}{f' ({one.label})' if one.label else ''}"
        for one in picture.arrows
    ]
    return "; ".join(ways) + "."


def _box(placed: Placed) -> str:
    box = placed.box
    centre, middle = placed.x + placed.width / 2, placed.y + placed.height / 2
    radius = RADIUS.get(box.look, 9)
    room = placed.width - 24
    rows = [("title", box.title, int(room / TITLE))]
    if box.detail:
        rows.append(("detail", box.detail, int(room / SMALL)))
    first = middle + (-3.5 if box.detail else 4.5)
    texts = "".join(
        f'<text class="{kind}" x="{centre:.1f}" y="{first + 17 * index:.1f}" text-anchor="middle">{_text(shortened(text, limit))}</text>'
        for index, (kind, text, limit) in enumerate(rows)
    )
    return (
        f"<g><title>{_text(f'{box.title}: {box.detail}' if box.detail else box.title)}</title>"
        f'<rect class="box {box.look}" x="{placed.x:.1f}" y="{placed.y:.1f}" width="{placed.width:.1f}" '
        f'height="{placed.height:.1f}" rx="{radius}"/>{texts}</g>'
    )


def _arrow(line: Line) -> str:
    start, _, _, level, _ = line.points[0]
    steps = [f"M{start:.1f} {level:.1f}"]
    for _, knee, end, height, below in line.points:
        bend = (knee + end) / 2
        steps.append(f"H{knee:.1f} C{bend:.1f} {height:.1f} {bend:.1f} {below:.1f} {end:.1f} {below:.1f}")
    path = f'<path class="arrow{" aside" if line.arrow.aside else ""}" d="{" ".join(steps)}" marker-end="url(#head)"/>'
    if not line.arrow.label:
        return path
    label = _text(shortened(line.arrow.label))
    title = f"<title>{_text(line.arrow.label)}</title>"
    return f'<g>{title}{path}<text class="label" x="{start + STUB:.1f}" y="{level - 5:.1f}">{label}</text></g>'


def _text(text: str) -> str:
    """Text for XML: escaped, without the control characters that XML 1.0 does not allow."""
    return escape("".join(char if char.isprintable() else " " for char in text))
