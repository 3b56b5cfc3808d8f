"""What a store keeps, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The named limits of a store. Ages are seconds.

    ``segments``, ``examples`` and ``points`` hold at any time; the others are applied by ``Store.retain``.
    """

    segments: int = 100  # of each challenger: as many as a worker tells apart, and each is a row to write
    examples: int = 20  # of each segment: what a person reads before the next edit of a model
    records: int = 100_000  # of each challenge: some 50 MB, and an hour of 28 sampled requests a second
    record_age: float = 30 * _DAY  # a label that has not come within a month seldom comes
    feedback: int = 100_000  # waiting for their records, and as many joined; as many as the records of a challenge
    feedback_age: float = 7 * _DAY  # a record is booked seconds after its request, or days when a store was away
    feedback_bytes: int = 65_536  # of a request: labels for each element of the largest pair that is kept
    points: int = 240  # of each challenger: a chart is some hundreds of pixels wide
    decisions: int = 1_000  # of each challenge: a promotion a day for years, or an hour of a verdict that flaps
    lives: int = 1_000  # closed ones of each writer: a crash loop must not fill the store
    life_age: float = 30 * _DAY  # a machine that was away for longer may count a life's interrupted requests twice
    silence: float = 1 * _DAY  # after which another writer's open life is taken for lost with its machine


DEFAULTS = Limits()
