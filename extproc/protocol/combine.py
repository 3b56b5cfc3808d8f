"""An ensemble's ``mean`` and ``vote``: many responses made into one, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import dropwhile
from operator import mul
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec import Raw

from extproc.protocol.dialect import DIALECTS, Protocol
from extproc.protocol.errors import NotPredictions
from extproc.protocol.leaves import MAX_DEPTH, check_depth, leaves, rebuild
from extproc.protocol.predictions import Column, Predictions, unwrap
from extproc.protocol.reading import array, encode, items_of

if TYPE_CHECKING:
    from collections.abc import Hashable

# A response, the protocol it speaks, and its weight, which is finite and not negative.
Member: TypeAlias = tuple[bytes, Protocol, float]

_NESTED: Final = frozenset({list, dict})


@dataclass(frozen=True, slots=True)
class _Voice:
    """What one member says of one column; ``share`` is its weight, scaled so that all weights are integers."""

    member: int
    share: int
    column: Column


_Combine: TypeAlias = Callable[[Column, Sequence[_Voice]], Raw]


def mean(members: Sequence[Member]) -> bytes:
    """The first member's body with the weighted mean of all predictions in place of its own, as doubles.

    A member of weight 0 does not count, and only the first is read at all. Numbers may stand in nested lists and
    objects of equal structure. A V2 tensor of integers becomes FP64; one of real numbers keeps its datatype.

    Raises:
        NotPredictions: All weights are 0, or a member's predictions cannot be averaged with the first's.
    """
    return _combine(members, _mean)


def vote(members: Sequence[Member]) -> bytes:
    """The first member's body with, for each element, the prediction that most of the weight is for.

    Equal weights: the prediction listed first. Numbers are equal by value, true is no 1, lists and objects are
    compared whole, OpenAI's texts without white space around them. The winner keeps the text of who said it first.

    Raises:
        NotPredictions: All weights are 0, or a member's predictions are no match for the first's.
    """
    return _combine(members, _vote)


def _combine(members: Sequence[Member], combine: _Combine) -> bytes:
    shares = _shares([weight for _, _, weight in members])
    read = {index: _read(index, member) for index, member in enumerate(members) if shares[index] or index == 0}
    combined = []
    for place, column in enumerate(read[0].columns):
        voices = [_Voice(index, shares[index], _match(index, said, read[0], place)) for index, said in read.items()]
        combined.append(combine(column, voices))
    body, protocol, _ = members[0]
    try:
        return DIALECTS[protocol].replace(body, combined)
    except NotPredictions as problem:
        raise problem.of(0) from None


def _shares(weights: Sequence[float]) -> list[int]:
    """The weights as integers of the same proportions, from their shortest decimals: 0.1 + 0.2 ties with 0.3."""
    exact = [Fraction(repr(weight)) for weight in weights]
    if any(weight < 0 for weight in exact):
        raise ValueError("a weight is negative")
    if not any(exact):
        raise NotPredictions("no member has any weight")
    scale = math.lcm(*(weight.denominator for weight in exact))
    shares = [int(weight * scale) for weight in exact]
    common = math.gcd(*shares)
    return [share // common for share in shares]


def _read(index: int, member: Member) -> Predictions:
    body, protocol, _ = member
    try:
        return DIALECTS[protocol].predictions(body)
    except NotPredictions as problem:
        raise problem.of(index) from None


def _match(index: int, said: Predictions, first: Predictions, place: int) -> Column:
    """The member's column for one of the first's: by name, unless both have one column."""
    if len(said.columns) == len(first.columns) == 1:
        return said.columns[0]
    name = first.columns[place].name
    for column in said.columns:
        if column.name == name:
            return column
    raise NotPredictions("an output of the first member is missing", index)


def _mean(first: Column, voices: Sequence[_Voice]) -> Raw:
    read = [_leaves(voice) for voice in voices]
    for voice, (_, structure) in zip(voices, read, strict=True):
        if structure != read[0][1]:
            raise NotPredictions("the predictions have another shape than the first member's", voice.member)
    shares = [voice.share for voice in voices if voice.share]
    parts = [numbers for voice, (numbers, _) in zip(voices, read, strict=True) if voice.share]
    total = sum(shares)
    means = (_weighted(numbers, shares, total) for numbers in zip(*parts, strict=True))
    return Raw(encode(rebuild(first.rows, means)))


def _leaves(voice: _Voice) -> tuple[list[float], list[object]]:
    try:
        return leaves(voice.column.unwrapped)
    except NotPredictions as problem:
        raise problem.of(voice.member) from None


def _weighted(numbers: Sequence[float], shares: Sequence[int], total: int) -> float:
    try:
        found = math.fsum(map(mul, numbers, shares)) / total
    except (OverflowError, ValueError):
        return _exactly(numbers, shares, total)
    return found if math.isfinite(found) else _exactly(numbers, shares, total)


def _exactly(numbers: Sequence[float], shares: Sequence[int], total: int) -> float:
    """The mean where a sum on the way to it is beyond a double; the mean itself never is."""
    return float(sum(Fraction(number) * share for number, share in zip(numbers, shares, strict=True)) / total)


def _vote(first: Column, voices: Sequence[_Voice]) -> Raw:
    ballots = [(voice.share, _keys(voice, first), _texts(voice.column, first)) for voice in voices]
    return array(_winner(ballots, row) for row in range(len(first.rows)))


def _keys(voice: _Voice, first: Column) -> list[Hashable]:
    column = voice.column
    try:
        keys = [_key(row, MAX_DEPTH) for row in column.unwrapped]
    except NotPredictions as problem:
        raise problem.of(voice.member) from None
    if len(keys) != len(first.rows) or _differ(column.shape, first.shape):
        raise NotPredictions("the predictions have another shape than the first member's", voice.member)
    if column.prose:
        return [str(key).strip() for key in keys]
    return keys


def _differ(ours: tuple[int, ...] | None, theirs: tuple[int, ...] | None) -> bool:
    """Whether two tensors' rows have different shapes, outer sizes of 1 aside."""
    if ours is None or theirs is None:
        return False
    return _inner(ours) != _inner(theirs)


def _inner(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dropwhile(lambda size: size == 1, shape[1:]))


def _key(value: Any, left: int) -> Hashable:
    """What equal values have in common: numbers their value, all else its type as well."""
    if type(value) is list:
        check_depth(left)
        return (list, *(_key(item, left - 1) for item in value))
    if type(value) is dict:
        check_depth(left)
        return (dict, frozenset((name, _key(item, left - 1)) for name, item in value.items()))
    return (bool, value) if type(value) is bool else value


def _winner(ballots: Sequence[tuple[int, list[Hashable], list[Raw]]], row: int) -> Raw:
    counts: dict[Hashable, int] = {}
    texts: dict[Hashable, Raw] = {}
    for share, keys, said in ballots:
        counts[keys[row]] = counts.get(keys[row], 0) + share
        texts.setdefault(keys[row], said[row])
    return texts[max(counts, key=counts.__getitem__)]


def _texts(column: Column, first: Column) -> list[Raw]:
    """A member's texts, scalars wrapped in as many lists of one item as the first member's in their place."""
    pairs = zip(column.texts, column.rows, first.rows, strict=True)
    return [text if type(row) is type(own) else _wrapped(text, row, own) for text, row, own in pairs]


def _wrapped(text: Raw, row: Any, own: Any) -> Raw:
    if type(unwrap(row)) in _NESTED or type(unwrap(own)) in _NESTED:
        return text
    for _ in range(_wraps(row)):
        text = items_of(text, "a prediction")[0]
    for _ in range(_wraps(own)):
        text = array((text,))
    return text


def _wraps(value: Any) -> int:
    """How many lists of one item are around a scalar."""
    count = 0
    while type(value) is list:
        value, count = value[0], count + 1
    return count
