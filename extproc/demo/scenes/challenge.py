"""cancer-challenge: a champion, a challenger beside it, and what their answers were worth."""

from __future__ import annotations

from typing import Final

from extproc.demo.rows import held_out_count, v1
from extproc.demo.scene import Ask, Crowd, Expected, Request, Scene, Trial

PATH: Final = "/v1/models/cancer-challenge:predict"
CHAMPION: Final = "cancer-logistic"
CHALLENGER: Final = "cancer-boosting"
LEGS: Final = (CHAMPION, CHALLENGER)
OVERLOOKED: Final = 163  # malignant; the champion says benign, the challenger does not

ONE = (
    "The client got the champion's answer, as always. The challenger was asked the same beside it: it would have been "
    "right, and is not in the route. One request proves nothing, so:"
)
ALL = (
    "Nobody was answered by the challenger, or waited for it. What both models say by themselves was asked once more, "
    "past the graph, to hold the report against it."
)
REPORT = (
    "Every request is in one count, and the accuracies are what the models score by themselves. The challenger is right a "
    "little less often here, but so few labels do not show that it is worse: what may be lies between two bounds, which "
    "hold however often one looks, and come closer with every label. It may be promoted once every guardrail holds."
)


def scene() -> Scene:
    """Every row held out, the one first on which the challenger is the better; then what they were."""
    count = held_out_count("cancer")
    others = tuple(_ask("", row, "") for row in range(count) if row != OVERLOOKED)
    return Scene(
        graph="cancer-challenge",
        title="A champion and its challenger",
        about="The champion answers everybody; a challenger is shown the same, and judged.",
        labels=("malignant", "benign"),
        steps=(
            _ask("the tumour on which they disagree, as above", OVERLOOKED, ONE),
            Crowd(
                title=f"{len(others)} other tumours, one request each",
                asks=others,
                node=None,
                shares={CHAMPION: (1, 1), CHALLENGER: (0, 0)},
                why=ALL,
                alone=LEGS,
            ),
            Trial(
                title=f"later it is known what all {count} were",
                champion=CHAMPION,
                challengers={"boosting": CHALLENGER},
                why=REPORT,
            ),
        ),
    )


def _ask(title: str, row: int, why: str) -> Ask:
    body, truth = v1("cancer", [row])
    return Ask(title, Request(PATH, body), why, Expected((CHAMPION,)), truth, alone=LEGS)
