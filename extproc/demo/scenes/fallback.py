"""wine-fallback: a model that is down, and the one that answers instead."""

from __future__ import annotations

from typing import Final

from extproc.demo.rows import v2
from extproc.demo.scene import Ask, Crowd, Expected, Request, Scene, Why

PATH: Final = "/v2/models/wine-fallback/infer"
ROUTE: Final = "wine-next!connect,wine-a"
TIMES: Final = 40

ONE = (
    "Nobody listens where wine-next should be. That is one of the failures a fallback goes on at, so the proven model "
    "was asked. The client got a 200; only the route tells."
)
MANY = "Every request was answered, although the first choice was down all the time. A request waits 500 ms for it at most."


def scene() -> Scene:
    """One request, then many: none of them fails."""
    return Scene(
        graph="wine-fallback",
        title="A model that is down",
        about="The new model cannot be reached; the proven one answers, and no client notices.",
        labels=("grower 0", "grower 1", "grower 2"),
        steps=(
            _ask("whose wine is this?", 0, ONE),
            Crowd(
                title=f"{TIMES} wines, one request each",
                asks=tuple(_ask("", number, "") for number in range(TIMES)),
                node=None,
                shares={"wine-next": (0, 0), "wine-a": (1, 1)},
                why=MANY,
            ),
        ),
    )


def _ask(title: str, row: int, why: Why) -> Ask:
    body, truth = v2("wine", row, str(row))
    return Ask(title, Request(PATH, body), why, Expected((ROUTE,)), truth)
