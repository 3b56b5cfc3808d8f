"""How both legs' answers differ, by kind, as a report shows it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from extproc.challenge.confusion import OTHER
from extproc.challenge.document import (
    Confusion,
    Cosine,
    Difference,
    Furthest,
    Kind,
    Similarity,
    Text,
    Vector,
)
from extproc.challenge.evidence import UNITS
from extproc.challenge.figures import GAIN, PLAIN
from extproc.challenge.reported import curves

if TYPE_CHECKING:
    from extproc.challenge.evidence import Evidence

LABELS: Final = 12  # of a confusion matrix: what a page has room for


def kind(evidence: Evidence) -> Kind | None:
    """Return the kind by which most pairs were compared; None without pairs."""
    known = {name: evidence.kinds.get(name, 0) for name in get_args(Kind)}
    most = max(known.values())
    return next((name for name, times in known.items() if times == most), None) if most else None


def difference(evidence: Evidence, tolerance: float) -> Difference | None:
    """Return how numbers differ; None where none were compared."""
    vectors = evidence.same_vectors + sum(evidence.furthest.values())
    boundless = 0 if vectors else evidence.boundless
    if not evidence.differences + boundless:
        return None
    sizes = dict(evidence.above)
    for bucket, times in evidence.below.items():
        sizes[bucket] = sizes.get(bucket, 0) + times
    zeros = evidence.equal
    bias = evidence.difference_sum / (evidence.differences * UNITS) if evidence.differences else None
    p50, p90, p95, p99 = (curves.quantile(sizes, zeros, p) for p in (0.5, 0.9, 0.95, 0.99))
    return Difference(
        values=evidence.differences + boundless,
        equal=zeros,
        boundless=boundless,
        tolerance=tolerance,
        bias=bias,
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        max=curves.largest(sizes, zeros),
        histogram=curves.differences(evidence.above, evidence.below, tolerance),
    )


def confusion(evidence: Evidence) -> Confusion | None:
    """Return the matrix of the labels that are given most often; None where no labels were compared."""
    if not evidence.confusion:
        return None
    pairs = {tuple(_labels(cell)): times for cell, times in evidence.confusion.items() if cell != OTHER}
    given: Counter[str] = Counter()
    for pair, times in pairs.items():
        for label in pair:
            given[label] += times
    labels = tuple(sorted(given, key=lambda label: (-given[label], label))[:LABELS])
    cells = tuple(tuple(pairs.get((ours, theirs), 0) for theirs in labels) for ours in labels)
    shown = sum(map(sum, cells))
    return Confusion(labels=labels, cells=cells, other=sum(evidence.confusion.values()) - shown)


def vector(evidence: Evidence) -> Vector | None:
    """Return how vectors differ; None where none were compared."""
    if not (evidence.cosine or evidence.furthest or evidence.same_vectors):
        return None
    sizes, zeros = evidence.furthest, evidence.same_vectors
    lowest = curves.grain_quantile(evidence.cosine, 0.05)
    return Vector(
        cosine=Cosine(mean=GAIN.mean(evidence.cosine), p05=None if lowest is None else GAIN.figure(lowest)),
        furthest=Furthest(
            p50=curves.quantile(sizes, zeros, 0.5),
            p95=curves.quantile(sizes, zeros, 0.95),
            max=curves.largest(sizes, zeros),
        ),
    )


def text(evidence: Evidence) -> Text | None:
    """Return how texts differ; None where none were compared.

    ``exact`` is the mean of the pairs' agreement, and not known where other pairs were compared by another kind.
    """
    if not evidence.similarity:
        return None
    return Text(
        exact=PLAIN.mean(evidence.agreement) if set(evidence.kinds) == {"text"} else None,
        similarity=Similarity(
            mean=curves.mean(evidence.similarity), histogram=curves.similarities(evidence.similarity)
        ),
    )


def _labels(cell: str) -> list[str]:
    """Return the labels of a cell as people read them: a text as it is, but where it could be taken for another value."""
    return [_label(one) for one in msgspec.json.decode(cell, type=list[msgspec.Raw])]


def _label(raw: msgspec.Raw) -> str:
    said: Any = msgspec.json.decode(raw)
    return said if isinstance(said, str) and not _is_json(said) else bytes(raw).decode()


def _is_json(said: str) -> bool:
    try:
        msgspec.json.decode(said)
    except msgspec.DecodeError:
        return False
    return True
