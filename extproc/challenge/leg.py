"""One leg of a pair as it is compared, and the ways in which it cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from extproc.errors import UpstreamError

if TYPE_CHECKING:
    from extproc.engine.calling import Reply
    from extproc.engine.request import Request
    from extproc.protocol import Declared


class Unparsable(UpstreamError):  # noqa: N818 - it says what the answer is
    """A leg answered what cannot be compared; the message never holds anything of a body.

    ``expression`` tells that it was ``compare.value`` that had no value: an expression's error, which is counted as one.
    """

    def __init__(self, message: str, *, expression: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.expression = expression


class TooLarge(UpstreamError):  # noqa: N818 - it says what the answer is
    """A leg's response is larger than what is compared."""


@dataclass(frozen=True, slots=True)
class LegAnswer:
    """A leg's request and its response, the body without any content-encoding.

    ``declared`` and ``path`` are what the plan says of the model's protocol where the leg ended in a model's call; of
    an answer that was made here nothing is known, and its body tells.
    """

    request: Request
    reply: Reply
    declared: Declared = "auto"
    path: str | None = None
