"""cancer-canary: a sticky split by a header."""

from __future__ import annotations

from typing import Final

from extproc.demo.rows import v1
from extproc.demo.scene import Ask, Crowd, Expected, Request, Scene, Why

PATH: Final = "/v1/models/cancer:predict"
STABLE: Final = "root=stable,cancer-logistic"
CANARY: Final = "root=canary,cancer-boosting"
USERS: Final = 400

# Which of them is a canary is a fact: a hash of the graph's name, the node's, the route's and the user's.
ADA = "The split hashed x-user-id, and ada is among the nine in ten who stay. The body was not read."
NIKLAUS = "Another key, another hash: niklaus is the one in ten, so Envoy called the new model."
AGAIN = (
    "Another tumour, the same user, the same model. Nothing is stored: the hash alone decides, "
    "so every replica agrees, after a restart too."
)
SHARES = (
    "A hash, not a draw: ask again, and these very counts come out. "
    "The weights are 90 and 10; when they change, as few users move as can be."
)


def scene() -> Scene:
    """Single users, one of them twice, then the shares over many."""
    return Scene(
        graph="cancer-canary",
        title="A sticky canary",
        about="One in ten users is answered by the new model, and always by it.",
        labels=("malignant", "benign"),
        steps=(
            _ask("ada sends a tumour's 30 measures", "ada", 0, STABLE, ADA),
            _ask("niklaus sends the same", "niklaus", 0, CANARY, NIKLAUS),
            _ask("niklaus again, with another tumour", "niklaus", 3, CANARY, AGAIN),
            Crowd(
                title=f"{USERS} users, one request each",
                asks=tuple(_ask("", f"user-{number}", number, None, "") for number in range(USERS)),
                node="root",
                shares={"stable": (0.85, 0.95), "canary": (0.05, 0.15)},  # three standard deviations are 0.045
                why=SHARES,
            ),
        ),
    )


def _ask(title: str, user: str, row: int, route: str | None, why: Why) -> Ask:
    body, truth = v1("cancer", [row])
    expected = Expected((route,) if route else (STABLE, CANARY))
    return Ask(title, Request(PATH, body, {"x-user-id": user}), why, expected, truth)
