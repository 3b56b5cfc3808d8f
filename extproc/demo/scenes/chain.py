"""cancer-chain: two models one after the other."""

from __future__ import annotations

from typing import Final

from extproc.demo.rows import v1
from extproc.demo.scene import Ask, Expected, Request, Scene

PATH: Final = "/v1/models/cancer-chain:predict"
BATCH: Final = 12

ONE = (
    "The processor called the scaler and made its predictions the next model's instances (input: auto). The last call is "
    "Envoy's own: nothing is done with its answer, so it streams to the client as it comes."
)
MANY = "Still two calls, whatever the size of the batch: all the scaled rows went on in one request."
BROKEN = (
    "The scaler refused the row, so the chain ended there, and the classifier was not asked. The mistake is the "
    "client's: the scaler's own answer was passed on, status and body."
)


def scene() -> Scene:
    """One row, a batch, and a row that the first step refuses."""
    body, truth = v1("cancer", [3])
    batch, labels = v1("cancer", range(BATCH))
    (row,) = body["instances"]
    both = Expected(("cancer-scaler,cancer-logistic-scaled",))
    return Scene(
        graph="cancer-chain",
        title="Two models in a row",
        about="The first scales the measures, the second classifies; the client sees one model.",
        labels=("malignant", "benign"),
        steps=(
            Ask("a tumour's raw measures", Request(PATH, body), ONE, both, truth, alone=("cancer-scaler",)),
            Ask(f"{BATCH} tumours in one request", Request(PATH, batch), MANY, both, labels),
            Ask(
                "one measure is missing",
                Request(PATH, {"instances": [row[:-1]]}),
                BROKEN,
                Expected(("cancer-scaler!400",), status=400, says="expects 30 features"),
            ),
        ),
    )
