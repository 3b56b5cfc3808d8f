"""Labels and rewards that come later, joined with what both legs had said."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec

from extproc.challenge.evidence import Truth, units
from extproc.challenge.histogram import count, grain
from extproc.challenge.scores import Score, Scores, scored
from extproc.protocol import NotPredictions
from extproc.protocol.predictions import unwrap
from extproc.protocol.reading import value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.challenge.evidence import Record


class Feedback(msgspec.Struct, frozen=True):
    """What is known of a request afterwards: ``label`` is any JSON value, null too; ``reward`` a number."""

    label: Any = msgspec.UNSET
    reward: Any = None


def join(record: Record, feedback: Feedback) -> Truth:
    """Return what feedback says of a pair; ``unusable`` counts the parts of it that fit in no way.

    A list of labels is a batch; any other label, or a list that a single list was predicted for, is a batch of one.
    The pair is one sample: its accuracy is the share of right elements, its Brier score and its error are means.
    """
    truth = Truth()
    if feedback.label is not msgspec.UNSET:
        _count(truth, _label(truth, record, feedback.label))
    if feedback.reward is not None:
        _count(truth, _reward(truth, record, feedback.reward))
    return truth


def _count(truth: Truth, used: bool) -> None:  # noqa: FBT001 - the one thing it counts
    """Count a part of the feedback: a pair is joined once, whether one part of it is used or both are."""
    if used:
        truth.joined = 1
    else:
        truth.unusable += 1


def _reward(truth: Truth, record: Record, reward: Any) -> bool:
    if not _is_reward(reward):
        return False
    gained = units(reward)
    truth.rewarded, truth.reward_sum = 1, gained
    if record.agreement >= 1:
        truth.agreed, truth.agreed_reward_sum = 1, gained
    return True


def _is_reward(value: Any) -> bool:
    try:
        return type(value) in {int, float} and isfinite(value)
    except OverflowError:
        return False


def _label(truth: Truth, record: Record, label: Any) -> bool:
    try:
        pairs = _scores(record, label)
    except NotPredictions:
        return False
    if not pairs:
        return False
    champion, challenger = ([pair[leg] for pair in pairs] for leg in (0, 1))
    _accuracy(truth, champion, challenger)
    _brier(truth, champion, challenger)
    _error(truth, champion, challenger)
    return True


def _scores(record: Record, label: Any) -> list[Scores]:
    champion, challenger = value_of(record.champion), value_of(record.challenger_said)
    if type(champion) is not list or type(challenger) is not list:
        raise NotPredictions("the record holds no lists")
    labels = _batch(label, champion)
    if not len(champion) == len(challenger) == len(labels):
        raise NotPredictions("there are not as many labels as predictions")
    rows = zip(champion, challenger, labels, strict=True)
    return [scored(record.kind, *row, record.tolerance) for row in rows]


def _batch(label: Any, predicted: list[Any]) -> list[Any]:
    """Return a label for each prediction, unwrapped as predictions are: a list around the only one is nothing."""
    alone = type(label) is not list or (len(predicted) == 1 and type(predicted[0]) is list)
    return [unwrap(one) for one in ([label] if alone else label)]


def _accuracy(truth: Truth, champion: Sequence[Score], challenger: Sequence[Score]) -> None:
    ours, theirs = (sum(score.right for score in leg) / len(leg) for leg in (champion, challenger))
    count(truth.champion_accuracy, grain(ours))
    count(truth.challenger_accuracy, grain(theirs))
    count(truth.accuracy_gain, _gain(theirs - ours))


def _brier(truth: Truth, champion: Sequence[Score], challenger: Sequence[Score]) -> None:
    ours, theirs = (_mean([score.brier for score in leg]) for leg in (champion, challenger))
    if ours is None or theirs is None:
        return
    count(truth.champion_brier, grain(ours))
    count(truth.challenger_brier, grain(theirs))
    count(truth.brier_gain, _gain(ours - theirs))


def _error(truth: Truth, champion: Sequence[Score], challenger: Sequence[Score]) -> None:
    """Add the errors; one without bound counts as the largest of gains and losses, and is in no sum."""
    ours, theirs = (_mean([score.error for score in leg]) for leg in (champion, challenger))
    if ours is None or theirs is None:
        return
    count(truth.error_gain, _gain(min(ours, 1.0) - min(theirs, 1.0)))
    if isfinite(ours) and isfinite(theirs):
        truth.errors = 1
        truth.champion_error_sum, truth.challenger_error_sum = units(ours), units(theirs)


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None where one value is missing, and infinity rather than an overflow."""
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if len(found) == len(values) else None


def _gain(gain: float) -> int:
    return grain((gain + 1) / 2)
