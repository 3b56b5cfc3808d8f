"""wine-ab: two models behind one name, by the toss of a coin, in the V2 protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.demo.rows import v2
from extproc.demo.scene import Ask, Crowd, Expected, Request, Scene, Why

if TYPE_CHECKING:
    from extproc.demo.answer import Answer

PATH: Final = "/v2/models/wine/infer"
ROUTES: Final = ("root=a,wine-a", "root=b,wine-b")
TIMES: Final = 60
FAIR: Final = (0.2, 0.8)  # of 60 tosses of a fair coin; outside in fewer than 3 runs of a million (binomial)

SHARES = (
    f"No key, so nothing sticks: {TIMES} tosses of a coin, otherwise the next time. "
    "Both answer under one name, and the client need not know."
)


def scene() -> Scene:
    """One request, then many."""
    return Scene(
        graph="wine-ab",
        title="An A/B test in the V2 protocol",
        about="Two models behind one name; a coin decides for each request.",
        labels=("grower 0", "grower 1", "grower 2"),
        steps=(
            _ask("whose wine is this?", 0, _one),
            Crowd(
                title=f"{TIMES} wines, one request each",
                asks=tuple(_ask("", number, "") for number in range(TIMES)),
                node="root",
                shares={"a": FAIR, "b": FAIR},
                why=SHARES,
            ),
        ),
    )


def _ask(title: str, row: int, why: Why) -> Ask:
    body, truth = v2("wine", row, str(row))
    return Ask(title, Request(PATH, body), why, Expected(ROUTES), truth)


def _one(answer: Answer) -> str:
    return (
        f"The coin fell on {answer.decisions.get('root', 'neither')}. Envoy replaced the path, too: "
        f"{PATH} became /v2/models/{answer.model}/infer."
    )
