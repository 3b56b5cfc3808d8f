"""What labels and rewards say of both legs, as a report shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.challenge import figures
from extproc.challenge.document import Gain, Reward, Truth
from extproc.challenge.evidence import UNITS
from extproc.challenge.reported.curves import mean

if TYPE_CHECKING:
    from extproc.challenge import evidence as summed
    from extproc.challenge.evidence import Evidence
    from extproc.challenge.figures import Metric


def truth(evidence: Evidence, alpha: float, waiting: int = 0) -> Truth | None:
    """Return what labels and rewards say, and how many wait for their requests; None where there are none at all."""
    found = evidence.truth
    if not (found.joined or found.unusable or waiting):
        return None
    return Truth(
        joined=found.joined,
        unusable=found.unusable,
        waiting=waiting,
        accuracy=_gain(evidence, "accuracy", alpha, (mean(found.champion_accuracy), mean(found.challenger_accuracy))),
        brier=_gain(evidence, "brier", alpha, (mean(found.champion_brier), mean(found.challenger_brier))),
        error=_gain(
            evidence,
            "error",
            alpha,
            (_part(found.champion_error_sum, found.errors), _part(found.challenger_error_sum, found.errors)),
        ),
        reward=_reward(found),
    )


def _gain(evidence: Evidence, metric: Metric, alpha: float, legs: tuple[float | None, float | None]) -> Gain | None:
    if not figures.gains(evidence, metric):
        return None
    known = figures.gain(evidence, metric, alpha)
    champion, challenger = legs
    return Gain(champion=champion, challenger=challenger, gain=known.value, low=known.low, high=known.high)


def _reward(found: summed.Truth) -> Reward | None:
    if not found.rewarded:
        return None
    apart = found.reward_sum - found.agreed_reward_sum
    return Reward(
        requests=found.rewarded,
        mean=_part(found.reward_sum, found.rewarded),
        where_agreed=_part(found.agreed_reward_sum, found.agreed),
        where_not=_part(apart, found.rewarded - found.agreed),
    )


def _part(units: int, samples: int) -> float | None:
    """Return the mean of so many samples, from their sum in units of 1 / UNITS."""
    return units / (samples * UNITS) if samples else None
