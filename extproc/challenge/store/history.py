"""What happened to a challenge: decisions, and its guardrails' figures over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, select

from extproc.challenge.store.put import put_new
from extproc.challenge.store.tables import decisions, points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from extproc.challenge.store.turn import Turn


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict that changed, a promotion or a rollback, and what it stood on. ``at`` is seconds since the epoch.

    ``figures`` is any JSON value: the rule, the guardrails. ``writer`` is who noted it, and is told by the store.
    """

    at: float
    challenge: str
    graph: str
    generation: str
    challenger: str
    event: str
    forced: bool = False
    figures: Any = None
    writer: str = ""


class Point(msgspec.Struct, frozen=True):
    """A challenger's figures at one time: any JSON value."""

    at: float
    figures: Any


def note(turn: Turn, decision: Decision) -> None:
    """Keep a decision; the same one noted again stays one."""
    row = {name: getattr(decision, name) for name in Decision.__struct_fields__}
    figures = msgspec.json.encode(decision.figures)
    put_new(turn.connection, decisions, [{**row, "figures": figures, "writer": turn.writer}])


def point(turn: Turn, challenge: str, challenger: str, new: Point) -> None:
    """Keep a point; above the limit those give way whose neighbours are nearest to each other in time."""
    row = {"challenge": challenge, "challenger": challenger, "at": new.at}
    put_new(turn.connection, points, [{**row, "figures": msgspec.json.encode(new.figures)}])
    its = (points.c.challenge == challenge) & (points.c.challenger == challenger)
    times = list(turn.connection.scalars(select(points.c.at).where(its).order_by(points.c.at)))
    surplus = crowded(times, turn.limits.points)
    if surplus:
        turn.connection.execute(delete(points).where(its & points.c.at.in_(surplus)))


def crowded(times: Sequence[float], limit: int) -> list[float]:
    """Return which of ascending times to leave out, so that ``limit`` (2 or more) stay, spread evenly.

    The first and the last stay always.
    """
    kept = list(times)
    left_out = []
    while len(kept) > limit:
        spans = [after - before for before, after in zip(kept, kept[2:], strict=False)]
        left_out.append(kept.pop(1 + spans.index(min(spans))))
    return left_out


def read_decisions(connection: Connection, challenge: str) -> list[Decision]:
    """Return a challenge's decisions, the oldest first."""
    its = select(decisions).where(decisions.c.challenge == challenge)
    found = connection.execute(its.order_by(decisions.c.at, decisions.c.writer))
    return [Decision(**{**row._mapping, "figures": msgspec.json.decode(row.figures)}) for row in found]  # noqa: SLF001


def read_points(connection: Connection, challenge: str) -> dict[str, list[Point]]:
    """Return each challenger's points, the oldest first."""
    found = connection.execute(select(points).where(points.c.challenge == challenge).order_by(points.c.at))
    series: dict[str, list[Point]] = {}
    for row in found:
        series.setdefault(row.challenger, []).append(Point(row.at, msgspec.json.decode(row.figures)))
    return series
