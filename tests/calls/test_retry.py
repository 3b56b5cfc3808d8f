"""The pure decision: whether, and after which pause, a call is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.calls.retry import LONGEST_PAUSE, attempt_timeout, next_pause
from extproc.engine.calling import Cause, Failed, Reply
from extproc.graph.document import Cause as Word
from extproc.graph.document import Model, Retries
from extproc.plan.model import RetryRule, plan_model

CAUSES: tuple[Word, ...] = ("connect", "reset", "timeout", "5xx", "429")
OUTCOMES: dict[str, Reply | Failed] = {
    "connect": Failed("m", Cause.CONNECT),
    "reset": Failed("m", Cause.RESET),
    "timeout": Failed("m", Cause.TIMEOUT),
    "5xx": Reply(500, (), b""),
    "429": Reply(429, (), b""),
    "200": Reply(200, (), b""),
    "302": Reply(302, (), b""),
    "404": Reply(404, (), b""),
    "599": Reply(599, (), b""),
    "600": Reply(600, (), b""),
    "overloaded": Failed("m", Cause.OVERLOADED),
    "too_large": Failed("m", Cause.TOO_LARGE),
}


@pytest.mark.parametrize("listed", CAUSES)
@pytest.mark.parametrize("name", OUTCOMES)
def test_a_rule_covers_what_it_lists(listed, name):
    """An outcome is tried again for its own word in the rule and for no other."""
    rule = RetryRule(2, (listed,), 0.025)
    again = next_pause(rule, OUTCOMES[name], 1, 10.0, 0.5) is not None
    assert again == (name == listed or (listed, name) == ("5xx", "599"))


@pytest.mark.parametrize("name", OUTCOMES)
def test_the_default_rule_is_envoys(name):
    """Nothing is tried again here by the rule that Envoy carries out."""
    assert next_pause(RetryRule(5, None, 0.025), OUTCOMES[name], 1, 10.0, 0.5) is None


@pytest.mark.parametrize(
    ("attempts", "chance", "left", "pause"),
    [
        (1, 0.0, 10.0, 0.0),
        (1, 0.5, 10.0, 0.05),
        (2, 0.5, 10.0, 0.1),
        (3, 0.5, 10.0, 0.2),
        (4, 0.5, 10.0, 0.4),
        (5, 0.5, 10.0, 0.5),
        (9, 0.5, 10.0, 0.5),
        (5000, 0.5, 10.0, 0.5),
        (10_000, 0.5, 10.0, None),
        (1, 0.5, 0.05, None),
        (1, 0.5, 0.051, 0.05),
        (1, 0.0, 0.0, None),
        (1, 0.0, -1.0, None),
    ],
)
def test_pauses(attempts, chance, left, pause):
    """The pause doubles up to ten times the backoff, is drawn from its whole length, and fits what is left."""
    found = next_pause(RetryRule(10_000, CAUSES, 0.1), OUTCOMES["5xx"], attempts, left, chance)
    assert found == (None if pause is None else pytest.approx(pause))


@given(
    attempts=st.integers(1, 50),
    made=st.integers(1, 60),
    backoff=st.floats(0, 100),
    left=st.floats(-10, 100),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_a_pause_is_bounded(attempts, made, backoff, left, chance):
    """Never more attempts than the rule's, never past the deadline, never longer than ten backoffs."""
    pause = next_pause(RetryRule(attempts, CAUSES, backoff), OUTCOMES["reset"], made, left, chance)
    if pause is None:
        assert made >= attempts or left <= backoff * LONGEST_PAUSE
    else:
        assert made < attempts
        assert 0 <= pause < left
        assert pause <= backoff * LONGEST_PAUSE


@pytest.mark.parametrize(
    ("timeout", "retries", "seconds"),
    [
        (None, None, 6.0),
        (2.0, None, 2.0),
        (9.0, 3, 6.0),
        (None, Retries(attempts=3, on=("timeout",)), 2.0),
        (1.0, Retries(attempts=3, on=("timeout", "5xx")), 1.0),
        (5.0, Retries(attempts=3, on=("timeout",)), 2.0),
        (None, Retries(attempts=3, on=("reset",)), 6.0),
        (None, Retries(attempts=1, on=("timeout",)), 6.0),
    ],
)
def test_how_long_an_attempt_may_take(timeout, retries, seconds):
    """The model's timeout, shortened to what is left, and to a share of it where timeouts are tried again."""
    model = plan_model("g", "m", Model(url="http://m", timeout=timeout, retries=retries))
    assert attempt_timeout(model, 6.0) == pytest.approx(seconds)
