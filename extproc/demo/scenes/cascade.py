"""digits-cascade: the small model answers what it is sure of, the large one the rest."""

from __future__ import annotations

from typing import Final

from extproc.demo.rows import digit_picture, v1
from extproc.demo.scene import Ask, Crowd, Expected, Request, Scene, Why

PATH: Final = "/v1/models/digits-cascade:predict"
SMALL: Final = "digits-small-proba"
LARGE: Final = "digits-large-proba"
EASY: Final = 0  # a 0; the small model is sure of it
HARD: Final = 33  # a 0 that the small model takes for a 6, and is not sure of
PICTURES: Final = 300

ACCEPTED = "The small model gave one digit 0.95 or more, so its answer was accepted. The large one was not called."
REFUSED = (
    "Not sure enough: accept was false, so the large model was asked, and its answer counts. "
    "Both answer probabilities, so the client reads either alike."
)
SHARES = (
    "Most pictures never reached the large model, which takes several times as long; all the same the answers are nearly "
    "as often right as its own. It is asked the hard ones only."
)


def scene() -> Scene:
    """An easy picture, a hard one, then the shares over many."""
    return Scene(
        graph="digits-cascade",
        title="A small model first",
        about="The small model answers what it is sure of; the rest goes on to the large one.",
        steps=(
            _ask("an easy 0", EASY, ACCEPTED, SMALL),
            _ask("a hard 0, the same as above", HARD, REFUSED, f"{SMALL},{LARGE}", (SMALL, LARGE)),
            Crowd(
                title=f"{PICTURES} pictures, one request each",
                asks=tuple(_one(number) for number in range(PICTURES)),
                node=None,
                shares={SMALL: (0.65, 0.8), LARGE: (0.2, 0.35)},  # 0.72 and 0.28; another CPU may round otherwise
                why=SHARES,
                alone=(SMALL, LARGE),
            ),
        ),
    )


def _ask(title: str, row: int, why: Why, route: str, alone: tuple[str, ...] = ()) -> Ask:
    body, truth = v1("digits", [row])
    return Ask(title, Request(PATH, body), why, Expected((route,)), truth, digit_picture(row), alone)


def _one(row: int) -> Ask:
    body, truth = v1("digits", [row])
    return Ask("", Request(PATH, body), "", Expected((SMALL, f"{SMALL},{LARGE}")), truth)
