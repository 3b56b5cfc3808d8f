"""Whether a call is tried again, and when: pure decisions.

Two parties try again. The default rule (connect, and reset before the request was sent) is Envoy's, on the egress route:
only Envoy knows whether a request was sent. A rule that lists causes is carried out here, and then the egress route does
not retry at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.engine.calling import Cause, Failed, Reply

if TYPE_CHECKING:
    from extproc.graph.document import Cause as Word
    from extproc.plan.model import ModelPlan, RetryRule

LONGEST_PAUSE = 10  # times the backoff: Envoy's own default
_DOUBLINGS = 4  # the first power of two above it

# Overloaded and too large are answers of our own: another attempt would only be refused again.
_WORDS: dict[Cause, Word] = {Cause.CONNECT: "connect", Cause.RESET: "reset", Cause.TIMEOUT: "timeout"}


def failure(outcome: Reply | Failed) -> Word | None:
    """Return the graph language's word for an outcome, None when there is none."""
    return status_failure(outcome.status) if isinstance(outcome, Reply) else _WORDS.get(outcome.cause)


def status_failure(status: int) -> Word | None:
    """Return the graph language's word for a status, None when there is none."""
    if 500 <= status <= 599:  # noqa: PLR2004 - the class of statuses itself
        return "5xx"
    return "429" if status == 429 else None  # noqa: PLR2004 - the status itself


def retriable(rule: RetryRule, word: Word | None) -> bool:
    """Tell whether a rule that is carried out here lists a failure."""
    return rule.on is not None and word in rule.on


def next_pause(rule: RetryRule, outcome: Reply | Failed, attempts: int, left: float, chance: float) -> float | None:
    """Return the seconds to wait before the next attempt; None: the outcome is the call's.

    ``attempts`` have been made, ``left`` seconds are left, ``chance`` is drawn from [0, 1). The pause is exponential with
    full jitter, as Envoy's: anything up to ``backoff`` doubled each time, at most ten times as long.
    """
    if attempts >= rule.attempts or not retriable(rule, failure(outcome)):
        return None
    growth = min(1 << min(attempts - 1, _DOUBLINGS), LONGEST_PAUSE)
    pause = chance * rule.backoff * growth
    return pause if pause < left else None


def attempt_timeout(model: ModelPlan, left: float) -> float:
    """Return the seconds one attempt may take until response headers.

    Where a timeout is tried again, all attempts fit what is left. ModelPlan's own method is for tail calls, where Envoy
    cannot tell a reset from a timeout.
    """
    rule = model.retries
    share = left / rule.attempts if retriable(rule, "timeout") else left
    return min(share, model.document.timeout or share)
