"""A prediction of each leg held against the label: right or wrong, its Brier score, its absolute error."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, inf, isfinite
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from extproc.challenge.kinds import number, vector
from extproc.challenge.kinds.label import text_of_label
from extproc.protocol import NotPredictions, leaves
from extproc.protocol.leaves import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# How far from 1 the probabilities of all classes may add up to: those of a hundred classes, each rounded to four digits.
SLACK: Final = 0.01
_UNFIT: Final = "the label does not fit the prediction"
_TRUTHS: Final = 2  # a class that is called true or false is one of two


@dataclass(frozen=True, slots=True)
class Score:
    """One leg's prediction against the label. ``brier`` is a share of its largest value.

    ``brier`` and ``error`` are None where they make no sense; an error beyond all doubles is infinite.
    """

    right: bool
    brier: float | None = None
    error: float | None = None


Scores: TypeAlias = tuple[Score, Score]
"""The champion's and the challenger's."""


def scored(kind: str, champion: Any, challenger: Any, label: Any, tolerance: float) -> Scores:
    """Return the scores of both legs' predictions of one thing, which the label tells.

    Both legs are held against the label in the same way: a Brier score only where both predict probabilities.

    Raises:
        NotPredictions: The label does not fit them.
    """
    rule = _RULES.get(kind)
    if rule is None:
        raise NotPredictions("the kind is unknown")
    return rule(champion, challenger, label, tolerance)


def _numbers(champion: Any, challenger: Any, label: Any, tolerance: float) -> Scores:
    """Score numbers against a number; true and false are 1 and 0."""
    truth = _number(int(label) if type(label) is bool else label)
    legs = (_number(champion), _number(challenger))
    likely = truth in {0, 1} and all(0 <= said <= 1 for said in legs)
    ours, theirs = (
        Score(
            right=number.agree(truth, said, tolerance),
            brier=(said - truth) ** 2 if likely else None,
            error=None if type(label) is bool else _error(truth, said),
        )
        for said in legs
    )
    return ours, theirs


def _number(value: Any) -> float:
    if type(value) is int:
        return value
    if type(value) is float and isfinite(value):
        return value
    raise NotPredictions(_UNFIT)


def _error(truth: float, said: float) -> float:
    found = number.difference(truth, said)
    return inf if found is None else float(abs(found))


def _labels(champion: Any, challenger: Any, label: Any, _tolerance: float) -> Scores:
    """Score labels against any JSON value."""
    truth = text_of_label(label)
    return Score(right=text_of_label(champion) == truth), Score(right=text_of_label(challenger) == truth)


def _texts(champion: Any, challenger: Any, label: Any, _tolerance: float) -> Scores:
    """Score texts against a text, without white space around them."""
    if any(type(said) is not str for said in (champion, challenger, label)):
        raise NotPredictions(_UNFIT)
    return Score(right=champion.strip() == label.strip()), Score(right=challenger.strip() == label.strip())


def _vectors(champion: Any, challenger: Any, label: Any, tolerance: float) -> Scores:
    """Score vectors against a class, if the label tells one, else against a vector."""
    (ours, structure), (theirs, other) = leaves(champion), leaves(challenger)
    if structure != other:
        raise NotPredictions(_UNFIT)
    likely = _likely(ours) and _likely(theirs)
    place = _class(label, structure, likely=likely)
    if place is not None:
        return _classified(ours, place, likely=likely), _classified(theirs, place, likely=likely)
    truth, other = leaves(label)
    if structure != other:
        raise NotPredictions(_UNFIT)
    return Score(right=vector.agree(truth, ours, tolerance)), Score(right=vector.agree(truth, theirs, tolerance))


def _likely(numbers: Sequence[float]) -> bool:
    """Whether numbers are the probabilities of all classes."""
    return all(0 <= one <= 1 for one in numbers) and abs(fsum(numbers) - 1) <= SLACK


def _class(label: Any, structure: list[object], *, likely: bool) -> int | None:
    """Return which component is the class that the label tells; None where it tells none, but may be a vector."""
    names = structure[0]
    if isinstance(names, tuple) and structure[1:] == [None] * len(names):
        return _named(label, names) if type(label) is not dict else _only_one(label, structure, likely=likely)
    if len(structure) == 1 and isinstance(names, int):
        return _indexed(label, -1 - names) if type(label) is not list else _only_one(label, structure, likely=likely)
    return None


def _named(label: Any, names: tuple[str, ...]) -> int:
    """Return the place of a class by its name; one that is no text is named by its JSON text."""
    name = label if type(label) is str else text_of_label(label)
    if name not in names:
        raise NotPredictions(_UNFIT)
    return names.index(name)


def _indexed(label: Any, classes: int) -> int:
    """Return the place of a class by its index; of two, the second is true."""
    if type(label) is bool and classes == _TRUTHS:
        return int(label)
    if type(label) not in NUMBERS or label not in range(classes):
        raise NotPredictions(_UNFIT)
    return int(label)


def _only_one(label: Any, structure: list[object], *, likely: bool) -> int | None:
    """Return the place of the only 1 among zeros, which is a class where the legs tell probabilities."""
    numbers, other = leaves(label)
    if not likely or other != structure or sorted(numbers) != [0.0] * (len(numbers) - 1) + [1.0]:
        return None
    return numbers.index(1.0)


def _classified(numbers: Sequence[float], place: int, *, likely: bool) -> Score:
    """Score the likeliest class, the first of several; the Brier score (Brier 1950) is at most 2."""
    right = numbers.index(max(numbers)) == place
    if not likely:
        return Score(right=right)
    squares = fsum((one - (index == place)) ** 2 for index, one in enumerate(numbers))
    return Score(right=right, brier=squares / 2)


_RULES: Final[Mapping[str, Callable[[Any, Any, Any, float], Scores]]] = {
    "number": _numbers,
    "label": _labels,
    "vector": _vectors,
    "text": _texts,
}
