"""What is known of one challenger in one segment: sums alone, so that windows, workers and machines merge to the same.

Every field is a count or an exact integer sum. None depends on the order in which pairs came.
"""

from __future__ import annotations

import msgspec

from extproc.challenge.confusion import cap
from extproc.challenge.histogram import Histogram, merge

# What becomes of a request that reached a challenge, for each challenger: exactly one of these.
UNSAMPLED = "unsampled"
UNSUPPORTED = "unsupported"  # gRPC, which is never sampled; or a champion whose graph never shows the request's body
PAIRED = "paired"
SHED = "shed"  # the challenger's own limits of concurrency, queue or memory were met
TIMEOUT = "timeout"
FAILED = "failed"  # the challenger: no response, or no 2xx
TOO_LARGE = "too_large"  # the request, or a leg's response
UNPARSABLE = "unparsable"  # the challenger answered what cannot be compared
CHAMPION_UNPARSABLE = "champion_unparsable"  # the champion did; shown as ``unparsable`` too
CHAMPION_FAILED = "champion_failed"
INTERRUPTED = "interrupted"  # its worker was drained or killed
OUTCOMES = (
    UNSAMPLED,
    UNSUPPORTED,
    PAIRED,
    SHED,
    TIMEOUT,
    FAILED,
    TOO_LARGE,
    UNPARSABLE,
    CHAMPION_UNPARSABLE,
    CHAMPION_FAILED,
    INTERRUPTED,
)
UNITS = 2**64  # sums of differences are kept as integers in units of 1 / UNITS: exact, whatever their order
_WHOLE = 2.0**53  # a double from here on is a whole number, and may be too large to be multiplied


def units(size: float) -> int:
    """Return a size that a finite double is near, in units of 1 / UNITS: exact for integers and from 2**-12 on.

    Whatever is smaller is rounded to the nearest unit.
    """
    if isinstance(size, float) and abs(size) < _WHOLE:
        return round(size * UNITS)
    return int(size) * UNITS


class Truth(msgspec.Struct, omit_defaults=True):
    """What labels and rewards say of both legs. Gains are challenger minus champion, as shares: (gain + 1) / 2.

    ``accuracy`` of a leg is the histogram of its shares of right elements. Brier scores and absolute errors are losses:
    their gain is champion minus challenger. A Brier score is divided by its largest value (2 where there are several
    classes), an absolute error counts as at most 1 in ``error_gain``; the ``*_sum`` are exact, in units of 1 / UNITS.
    ``reward`` sums what clients got, which is the champion's: ``rewarded`` requests, of which ``agreed`` had both legs
    agree entirely.
    """

    joined: int = 0
    champion_accuracy: Histogram = {}
    challenger_accuracy: Histogram = {}
    accuracy_gain: Histogram = {}
    champion_brier: Histogram = {}
    challenger_brier: Histogram = {}
    brier_gain: Histogram = {}
    champion_error_sum: int = 0
    challenger_error_sum: int = 0
    errors: int = 0
    error_gain: Histogram = {}
    rewarded: int = 0
    reward_sum: int = 0
    agreed: int = 0
    agreed_reward_sum: int = 0
    unusable: int = 0  # labels that fit the predictions in no way


class Evidence(msgspec.Struct, omit_defaults=True):
    """Sums over pairs. ``agreement`` and all other shares are in grains, sizes in buckets: see ``histogram``."""

    outcomes: dict[str, int] = {}
    kinds: dict[str, int] = {}  # pairs by the kind by which they were compared
    elements: int = 0  # predictions compared: a batch has several
    agreement: Histogram = {}  # a pair's share of elements that agree
    noise: Histogram = {}  # the same of the champion with itself
    beyond_noise: Histogram = {}  # of pairs with both: (agreement + 1 - the champion's with itself) / 2
    champion_latency: Histogram = {}  # microseconds
    challenger_latency: Histogram = {}
    # number: challenger minus champion, element by element
    differences: int = 0
    difference_sum: int = 0  # in units of 1 / UNITS
    equal: int = 0
    above: Histogram = {}  # the challenger's is larger by so much
    below: Histogram = {}
    boundless: int = 0  # numbers and vectors without a finite difference: they disagree, and are in no sum
    # label: JSON texts ``["champion's", "challenger's"]``, and ``confusion.OTHER``
    confusion: dict[str, int] = {}
    # vector
    cosine: Histogram = {}  # (cosine + 1) / 2, as a share
    furthest: Histogram = {}  # the largest difference of two components
    same_vectors: int = 0  # with no difference at all, which has no bucket
    # text
    similarity: Histogram = {}
    truth: Truth = msgspec.field(default_factory=Truth)

    def book(self, outcome: str, times: int = 1) -> None:
        """Count what became of a request."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + times


def merged(into: msgspec.Struct, other: msgspec.Struct) -> None:
    """Add another's sums, field by field."""
    for name in into.__struct_fields__:
        mine, theirs = getattr(into, name), getattr(other, name)
        if isinstance(mine, int):
            setattr(into, name, mine + theirs)
        elif isinstance(mine, dict):
            merge(mine, theirs)
            if name == "confusion":
                cap(mine)
        else:
            merged(mine, theirs)


class Record(msgspec.Struct, frozen=True):
    """One pair, kept for labels that come later, and as an example where the legs disagree.

    ``champion`` and ``challenger`` are the compared elements as a list: JSON values. Latencies are seconds.
    """

    request: str
    challenger: str
    segment: str
    at: float
    kind: str
    tolerance: float
    agreement: float
    champion: msgspec.Raw
    challenger_said: msgspec.Raw
    champion_latency: float | None = None
    challenger_latency: float | None = None
    body: str | None = None  # the request's, where keeping bodies is on


class Window(msgspec.Struct):
    """What one worker has seen of one challenge since it last said so.

    ``eligible`` counts from the worker's start to the moment at which the window was closed.
    """

    challenge: str
    graph: str
    eligible: int
    challengers: tuple[str, ...]
    evidence: dict[str, dict[str, Evidence]]  # by challenger, by segment
    records: list[Record] = []
    dropped: dict[str, int] = {}  # records not kept, by reason
