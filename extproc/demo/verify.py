"""Is an answer what its scene promised? Every deviation is one sentence."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extproc.demo.answer import Answer
    from extproc.demo.scene import Ask, Crowd


def deviations(ask: Ask, answer: Answer, graph: str | None) -> Iterator[str]:
    """What is otherwise than expected; ``graph`` is the id of the graph that had to take the request."""
    expected = ask.expected
    if answer.status != expected.status:
        yield f"expected status {expected.status}, got {answer.status}"
    if answer.route not in (expected.routes or (None,)):
        yield f"expected the route {' or '.join(expected.routes) or '(none)'}, got {answer.route or '(none)'}"
    if answer.graph != graph:
        yield f"expected the graph {graph or '(none)'}, got {answer.graph or '(none)'}"
    if expected.says not in answer.body.decode(errors="replace"):
        yield f"expected a body with {expected.says!r}"
    for name, value in expected.headers.items():
        if answer.headers.get(name) != value:
            yield f"expected {name}: {value}, got {answer.headers.get(name, '(none)')}"
    if ask.truth and len(answer.predictions or ()) != len(ask.truth):
        yield f"expected {len(ask.truth)} predictions, got {len(answer.predictions or ())}"


def crowd_deviations(crowd: Crowd, answers: Sequence[Answer]) -> Iterator[str]:
    """Which branch or model had another share than expected."""
    counts = Counter(crowd.side(answer) for answer in answers)
    for branch, (least, greatest) in crowd.shares.items():
        share = counts[branch] / len(answers)
        where = f"answered by {branch}" if crowd.node is None else f"at {crowd.node}={branch}"
        if not least <= share <= greatest:
            yield f"expected {least:.0%} to {greatest:.0%} {where}, got {share:.1%}"
