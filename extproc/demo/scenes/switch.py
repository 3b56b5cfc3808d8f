"""digits-switch: routing by a header, by the body, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.demo.rows import digit_picture, v1
from extproc.demo.scene import Ask, Expected, Request, Scene

if TYPE_CHECKING:
    from extproc.demo.answer import Answer

PATH: Final = "/v1/models/digits:predict"
QUICK: Final = "root=default,everyone=quick,digits-small"
CAREFUL: Final = "root=default,everyone=careful,digits-large"
HARD: Final = 33  # a 0 that digits-small takes for a 6 and digits-large does not
BATCH: Final = 12  # the graph calls more than 8 rows bulk

GOLD = "The first case holds: x-tier is gold. So the slower, better model read the picture."
BULK = (
    f"{BATCH} pictures are more than 8: the second case holds. It reads the body, so Envoy held "
    "the request until the decision, then sent it on unchanged."
)


def scene() -> Scene:
    """The same picture by default and as gold, then a bulk."""
    body, truth = v1("digits", [HARD])
    bulk, labels = v1("digits", range(BATCH))
    return Scene(
        graph="digits-switch",
        title="Routing by what is asked",
        about="Gold customers get the better model, bulk requests the quick one, the rest a split.",
        steps=(
            Ask(
                "somebody sends a picture of a handwritten 0",
                Request(PATH, body),
                _default,
                Expected((QUICK, CAREFUL)),
                truth,
                digit_picture(HARD),
            ),
            Ask(
                "a gold customer sends the same picture",
                Request(PATH, body, {"x-tier": "gold"}),
                GOLD,
                Expected(("root=gold,digits-large",)),
                truth,
            ),
            Ask(
                f"{BATCH} pictures in one request",
                Request(PATH, bulk),
                BULK,
                Expected(("root=bulk,digits-small",)),
                labels,
            ),
        ),
    )


def _default(answer: Answer) -> str:
    chosen = "the quick model" if answer.model == "digits-small" else "the careful model, one in four"
    return f"No case holds, so the default: the split everyone, 3 to 1 and without a key. The draw gave {chosen}."
