"""The protocols as values: how each finds predictions in a response, and replaces them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from extproc.protocol import openai, plain, v1, v2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from msgspec import Raw

    from extproc.protocol.predictions import Predictions

Protocol: TypeAlias = Literal["v1", "v2", "openai", "json"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One protocol. Both functions raise NotPredictions; ``replace`` takes an array of rows for each column found."""

    predictions: Callable[[bytes], Predictions]
    replace: Callable[[bytes, Sequence[Raw]], bytes]


DIALECTS: Final[Mapping[Protocol, Dialect]] = {
    "v1": Dialect(v1.predictions, v1.replace),
    "v2": Dialect(v2.predictions, v2.replace),
    "openai": Dialect(openai.predictions, openai.replace),
    "json": Dialect(plain.predictions, plain.replace),
}


def predictions(protocol: Protocol, body: bytes) -> Predictions:
    """What a response predicts.

    Raises:
        NotPredictions: The body is no response of the protocol, or holds no predictions.
    """
    return DIALECTS[protocol].predictions(body)
