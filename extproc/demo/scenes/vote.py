"""cancer-vote: three models, and the majority is the answer."""

from __future__ import annotations

from typing import Final

from extproc.demo.rows import held_out_count, v1
from extproc.demo.scene import Ask, Expected, Request, Scene

PATH: Final = "/v1/models/cancer-vote:predict"
MODELS: Final = ("cancer-logistic", "cancer-boosting", "cancer-forest")
OVERLOOKED: Final = 163  # malignant; cancer-logistic, the best of the three, says benign

ONE = (
    "All three were called at the same time. One alone would have overlooked this cancer; the other two outvoted it. "
    "Their answers are not in the graph's: they were asked once more, past it, to show them here."
)
ALL = (
    "Each row has a vote of its own. Here it does as well as the best of the three, and nobody had to know which one "
    "that is. One of them may fail, too: two are required."
)


def scene() -> Scene:
    """The row on which they disagree, then every row held out."""
    body, truth = v1("cancer", [OVERLOOKED])
    count = held_out_count("cancer")
    batch, labels = v1("cancer", range(count))
    expected = Expected((",".join(MODELS),))
    return Scene(
        graph="cancer-vote",
        title="A vote of three models",
        about="Three models are asked at once, and the majority is the answer.",
        labels=("malignant", "benign"),
        between=" + ",
        steps=(
            Ask("a tumour on which they disagree", Request(PATH, body), ONE, expected, truth, alone=MODELS),
            Ask(f"{count} tumours in one request", Request(PATH, batch), ALL, expected, labels, alone=MODELS),
        ),
    )
