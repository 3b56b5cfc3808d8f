"""A challenge's report as types: one Struct for each object of the JSON document, camelCase there.

Times are seconds since the epoch, latencies milliseconds, shares fractions of one. Every number is finite; what is not
known is None. Unknown fields are ignored, so that a report of a later version can still be shown.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

Judgement: TypeAlias = Literal["collecting", "pass", "fail", "inconclusive"]
Kind: TypeAlias = Literal["number", "label", "vector", "text"]
Bar: TypeAlias = tuple[float, float, int]
"""A histogram's bar: from, to, how many."""
Point: TypeAlias = tuple[float, float]
"""Of a latency curve: milliseconds, and the share of requests at most that slow."""
Sequence: TypeAlias = tuple[float | None, float | None, float | None]
"""Value, low and high at one moment."""


class _Object(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An object of the document."""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the requests that reached the challenge: together they are all of them."""

    paired: int = 0
    unsampled: int = 0
    unsupported: int = 0
    shed: int = 0
    timeout: int = 0
    failed: int = 0
    too_large: int = 0
    unparsable: int = 0
    champion_failed: int = 0
    interrupted: int = 0
    pending: int = 0


class Estimate(_Object, frozen=True, kw_only=True):
    """A figure and the two-sided confidence sequence around it."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    samples: int = 0


class Bound(_Object, frozen=True, kw_only=True, omit_defaults=True):
    """What a guardrail asks, as the graph says it."""

    min: float | None = None
    max: float | None = None
    p95_ratio: float | None = None
    min_gain: float | None = None
    metric: Literal["accuracy", "brier", "error"] | None = None


class Rail(_Object, frozen=True, kw_only=True):
    """A guardrail: ``needed`` is how many more samples the statistics are likely to need, None where nobody can say."""

    verdict: Judgement
    value: float | None = None
    low: float | None = None
    high: float | None = None
    samples: int = 0
    bound: Bound = Bound()
    needed: int | None = None


class Unparsable(_Object, frozen=True, kw_only=True):
    """Whose answer could not be compared."""

    champion: int = 0
    challenger: int = 0


class ChampionErrors(_Object, frozen=True, kw_only=True):
    """The champion's failures among sampled requests whose end is known."""

    failed: int = 0
    rate: float | None = None


class ChallengerErrors(_Object, frozen=True, kw_only=True):
    """The challenger's failures, by the language's definition of ``errors``."""

    failed: int = 0
    timeout: int = 0
    unparsable: int = 0
    rate: float | None = None
    low: float | None = None
    high: float | None = None


class Errors(_Object, frozen=True, kw_only=True):
    """Both legs' failures."""

    champion: ChampionErrors = ChampionErrors()
    challenger: ChallengerErrors = ChallengerErrors()


class Speed(_Object, frozen=True, kw_only=True):
    """Quantiles of a leg's latency."""

    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    samples: int = 0


class Ratio(_Object, frozen=True, kw_only=True):
    """The challenger's 95th percentile over the champion's."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class Curves(_Object, frozen=True, kw_only=True):
    """Both legs' distributions of latency."""

    champion: tuple[Point, ...] = ()
    challenger: tuple[Point, ...] = ()


class Latency(_Object, frozen=True, kw_only=True):
    """How fast both legs are."""

    champion: Speed = Speed()
    challenger: Speed = Speed()
    ratio: Ratio = Ratio()
    curves: Curves = Curves()


class Difference(_Object, frozen=True, kw_only=True):
    """Of numbers: challenger minus champion. Quantiles are of its absolute value.

    ``histogram`` holds those that are not equal; its first and last bar hold all that is beyond. Values agree when they
    are within ``tolerance`` of each other; ``boundless`` are those whose difference no double holds.
    """

    values: int = 0
    equal: int = 0
    boundless: int = 0
    tolerance: float = 0.0
    bias: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None
    histogram: tuple[Bar, ...] = ()


class Confusion(_Object, frozen=True, kw_only=True):
    """Of labels: rows are the champion's, columns the challenger's; ``other`` counts pairs with a label left out."""

    labels: tuple[str, ...] = ()
    cells: tuple[tuple[int, ...], ...] = ()
    other: int = 0


class Cosine(_Object, frozen=True, kw_only=True):
    """How alike the directions of two vectors are, from -1 to 1."""

    mean: float | None = None
    p05: float | None = None


class Furthest(_Object, frozen=True, kw_only=True):
    """The largest difference of two components."""

    p50: float | None = None
    p95: float | None = None
    max: float | None = None


class Vector(_Object, frozen=True, kw_only=True):
    """Of vectors."""

    cosine: Cosine = Cosine()
    furthest: Furthest = Furthest()


class Similarity(_Object, frozen=True, kw_only=True):
    """Of texts: 1 for the same."""

    mean: float | None = None
    histogram: tuple[Bar, ...] = ()


class Text(_Object, frozen=True, kw_only=True):
    """Of texts."""

    exact: float | None = None
    similarity: Similarity = Similarity()


class Gain(_Object, frozen=True, kw_only=True):
    """A measure of both legs against labels; the gain is above zero where the challenger is better."""

    champion: float | None = None
    challenger: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None


class Reward(_Object, frozen=True, kw_only=True):
    """What clients got, which is the champion's answer: the mean, and apart where both legs agreed and where not."""

    requests: int = 0
    mean: float | None = None
    where_agreed: float | None = None
    where_not: float | None = None


class Truth(_Object, frozen=True, kw_only=True):
    """What labels and rewards say of both legs."""

    joined: int = 0
    unusable: int = 0
    waiting: int = 0
    accuracy: Gain | None = None
    brier: Gain | None = None
    error: Gain | None = None
    reward: Reward | None = None


class Sampling(_Object, frozen=True, kw_only=True):
    """The share of requests that were sampled, and a test of it: ``e_value`` bets against ``expected``."""

    expected: float
    observed: float | None = None
    e_value: float | None = None
    mismatch: bool = False


class Example(_Object, frozen=True, kw_only=True):
    """A pair whose legs disagree; both say a list of JSON values, one for each prediction, cut to what people read.

    ``places`` are where in a large batch they stand; None where the whole batch is shown.
    """

    request_id: str
    at: float
    segment: str | None = None
    champion: Any = None
    challenger: Any = None
    places: tuple[int, ...] | None = None
    agreement: float | None = None
    champion_latency: float | None = None
    challenger_latency: float | None = None
    body: str | None = None


class Moment(_Object, frozen=True, kw_only=True):
    """The guardrails' figures at one time."""

    at: float
    samples: int = 0
    guardrails: dict[str, Sequence] = {}


class Segment(_Object, frozen=True, kw_only=True):
    """The figures of requests that ``compare.by`` put together."""

    segment: str
    counts: Counts = Counts()
    agreement: Estimate = Estimate()
    errors: Errors = Errors()
    latency: Latency | None = None
    truth: Truth | None = None


class Challenger(_Object, frozen=True, kw_only=True):
    """All that is known of one challenger."""

    name: str
    to: str = ""
    sample: float = 1.0
    verdict: Literal["promote", "reject", "collecting"] = "collecting"
    reason: str = ""
    counts: Counts = Counts()
    unparsable_by: Unparsable = Unparsable()
    guardrails: dict[str, Rail] = {}
    kind: Kind | None = None
    elements: int = 0
    agreement: Estimate = Estimate()
    noise: Estimate | None = None
    beyond_noise: Estimate | None = None
    errors: Errors = Errors()
    latency: Latency | None = None
    difference: Difference | None = None
    confusion: Confusion | None = None
    vector: Vector | None = None
    text: Text | None = None
    truth: Truth | None = None
    sampling: Sampling | None = None
    segments: tuple[Segment, ...] = ()
    examples: tuple[Example, ...] = ()
    history: tuple[Moment, ...] = ()


class Decision(_Object, frozen=True, kw_only=True):
    """Something that was decided, and by which figures."""

    at: float
    generation: str | None = None
    challenger: str | None = None
    event: str = ""
    verdict: str | None = None
    forced: bool = False
    rule: Any = None
    figures: Any = None


class Report(_Object, frozen=True, kw_only=True):
    """The whole document."""

    graph: str
    generation: str | None = None
    champion: str = ""
    node: str = ""
    challenge: str = ""
    eligible: int = 0
    confidence: float = 0.95
    at: float
    challengers: tuple[Challenger, ...] = ()
    decisions: tuple[Decision, ...] = ()
    dropped: dict[str, int] = {}


def read(document: Any) -> Report:
    """Return the report that a decoded JSON document holds. Raises msgspec.ValidationError for what is none."""
    return msgspec.convert(document, Report)
