"""challenge: the champion's answer as if there were no challenger, and a pair that is told of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.engine.calling import Cause
from extproc.engine.outcome import Answer, TailCall
from extproc.engine.request import Request
from extproc.engine.run import Run
from extproc.engine.seams import Seams
from tests.challenge.arenas import Ground
from tests.engine.deciding import REQUEST, Recording, Scripted
from tests.engine.pairs import Told
from tests.engine.random_graphs import Grown, Half, grown
from tests.engine.scripted import BODY, Fails, Hangs, Says, ScriptedCaller, elapsed, planned, predicts
from tests.engine.virtual import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extproc.plan.plan import Plan
    from tests.engine.scripted import Line


def played(
    plan: Plan,
    told: Told,
    script: Mapping[str, Line | Sequence[Line]] | None = None,
    body: bytes | None = BODY,
    *,
    whole: bool = True,
    stop: float | None = None,
    ticks: int = 0,
) -> tuple[Any, Run]:
    """Run a plan for one request, cancelled at a millisecond (and some turns of the loop later), where one is given."""
    caller = ScriptedCaller(script or {})

    async def main() -> tuple[Any, Run]:
        loop = asyncio.get_running_loop()
        seams = Seams(Scripted(), Recording(), caller, loop.time, told)
        one = Run(plan, Request(dict(REQUEST), body), seams, loop.time() + plan.timeout, whole=whole)
        task = asyncio.create_task(ended(one))
        if stop is not None:
            await asyncio.sleep(stop / 1000)
            for _ in range(ticks):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        return None if stop is not None and task.cancelled() else await task, one

    found = run(main())
    assert not +caller.open
    return found


async def ended(one: Run) -> Any:
    """A run's outcome."""
    outcome = one.start()
    return outcome if isinstance(outcome, Answer | TailCall) else await outcome


def challenge(champion: str = "a") -> Plan:
    """A challenge at the root."""
    return planned(f"{{root: {{challenge: {{champion: {champion}, challengers: [{{name: x, to: b}}]}}}}}}")


CHAIN = "{chain: {steps: [{name: one, to: c}, {name: two, to: %s}]%s}}"
SWITCH = "{switch: {cases: [{when: request.headers.x == '1', to: a}], default: d}}"
KINDS = {
    "a model": ("a", ["reached root", "begin", "handed over a"]),
    "a switch": (SWITCH, ["reached root", "begin", "handed over d"]),
    "a respond": ("{respond: {status: 200, body: ok}}", ["reached root", "begin", "answered 200"]),
    "a refusal": ("{respond: {status: 403}}", ["reached root", "begin", "answered 403"]),
    "nowhere": ("{switch: {cases: []}}", ["reached root", "begin", "answered 404"]),
    "a chain": (CHAIN % ("a", ""), ["reached root", "begin", "handed over a"]),
    "a chain with output": (CHAIN % ("a", ", output: 1"), ["reached root", "begin", "answered 200"]),
    "a chain that fails": (CHAIN % ("e", ", output: 1"), ["reached root", "begin", "answered status"]),
    "a fallback": ("{fallback: {routes: [{to: e}, {to: a}]}}", ["reached root", "begin", "handed over a"]),
    "an ensemble": (
        "{ensemble: {members: [{name: one, to: a}, {name: two, to: c}]}}",
        ["reached root", "begin", "answered 200"],
    ),
    "what cannot be computed": (
        "{respond: {status: 200, body: '${request.headers.nope}'}}",
        ["reached root", "begin", "left"],
    ),
    "a chain that cannot be computed": (
        CHAIN % ("a", ", output: '${request.headers.nope}'"),
        ["reached root", "begin", "left"],
    ),
    "a condition that cannot be read": (
        "{switch: {cases: [{when: 'request.body.x == 1', to: a}], default: d}}",
        ["reached root", "left"],
    ),
}
SCRIPT: dict[str, Line] = {"a": predicts(0.5), "c": predicts(0.5), "d": predicts(0.5), "e": Says(500, {})}


@pytest.mark.parametrize("case", KINDS)
def test_what_a_pair_is_told(case):
    """It is told once that the request is complete, and once what ended the champion's leg, whatever the champion is."""
    champion, expected = KINDS[case]
    told = Told()
    outcome, one = played(challenge(champion), told, SCRIPT, b"{")
    assert told.events == expected
    assert (one.pair is told) is expected[-1].startswith("handed over")
    assert isinstance(outcome, TailCall) is expected[-1].startswith("handed over")


@pytest.mark.parametrize("case", KINDS)
def test_an_unsampled_request(case):
    """A request that nobody samples is counted, and tells nobody anything more; its outcome is the same."""
    champion, expected = KINDS[case]
    told = Told(samples=False)
    outcome, one = played(challenge(champion), told, SCRIPT, b"{")
    assert told.events == expected[:1]
    assert one.pair is None
    assert outcome == played(challenge(champion), Told(), SCRIPT, b"{")[0]


@pytest.mark.parametrize("champion", ["a", SWITCH])
def test_a_request_that_is_not_complete(champion):
    """A decision by the headers alone does not begin the pair: whoever sees the body does."""
    told = Told()
    _, one = played(challenge(champion), told, body=None, whole=False)
    assert told.events == ["reached root", f"handed over {'a' if champion == 'a' else 'd'}"]
    assert one.pair is told


@pytest.mark.parametrize("champion", ["{respond: {status: 200, body: ok}}", "{switch: {cases: []}}"])
def test_a_request_that_is_never_complete(champion):
    """An answer by the headers alone ends the request before its body was seen."""
    told = Told(samples=False)
    played(challenge(champion), told, body=None, whole=False)
    assert told.events == ["reached root, unseen"]


@pytest.mark.parametrize("champion", ["a", CHAIN % ("a", "")])
def test_a_pair_that_wants_nothing_more(champion):
    """Where no challenger began, the response need not be shown: nobody is told of the call, and nobody waits for it."""
    told = Told(begin=False)
    outcome, one = played(challenge(champion), told, SCRIPT)
    assert told.events == ["reached root", "begin"]
    assert isinstance(outcome, TailCall)
    assert one.pair is None


def test_what_begins():
    """Challengers get the client's own body; within a chain what reaches the challenge there."""
    told = Told()
    played(challenge(), told, SCRIPT, b"mine")
    nested = "{challenge: {champion: a, challengers: [{name: x, to: b}]}}"
    for step in ("{name: two, to: duel}", "{name: two, to: duel, input: {made: 1}}"):
        chain = f"{{root: {{chain: {{steps: [{{name: one, to: c}}, {step}]}}}}, duel: {nested}}}"
        played(planned(chain), told, {"c": Says(body=b"theirs")}, b"mine")
    own, previous, made = told.payloads
    assert (own.body, own.own, own.made) == (b"mine", True, False)
    assert (previous.body, previous.content_type, previous.own, previous.made) == (
        b"theirs",
        "application/json",
        False,
        False,
    )
    assert (made.body, made.own, made.made) == (b'{"made":1}', False, True)


def test_a_late_handover():
    """A champion for whose last call no time is left was cut short."""
    told = Told()
    outcome, one = played(challenge(CHAIN % ("a", "")), told, {"c": predicts(1, after=999.9)})
    assert told.events == ["reached root", "begin", "handed over a", "left"]
    assert outcome.status == 504
    assert one.pair is None


def test_only_the_first_time_counts():
    """A challenge that a request reaches again is run like any node, and nobody is told."""
    duel = "duel: {challenge: {champion: a, challengers: [{name: x, to: b}]}}"
    told = Told()
    played(
        planned(f"{{root: {{chain: {{steps: [{{name: one, to: duel}}, {{name: two, to: duel}}]}}}}, {duel}}}"),
        told,
        SCRIPT,
    )
    assert told.events == ["reached duel", "begin", "answered 200"]


WITHIN = {
    "a champion": f"{{root: {{challenge: {{champion: {CHAIN % ('a', '')}, challengers: [{{name: x, to: b}}]}}}}}}",
    "a chain": "{root: {chain: {steps: [{name: one, to: c}, {name: two, to: duel}]}},",
    "steps side by side": (
        "{root: {chain: {steps: [{name: one, to: c}, {name: two, to: d, input: 1}, {name: three, to: duel}]}},"
    ),
    "an ensemble": "{root: {ensemble: {members: [{name: one, to: duel}, {name: two, to: c}], wait: quorum, require: 1}},",
    "a fallback": "{root: {fallback: {routes: [{to: duel}, {to: c}]}},",
    "a cascade": "{root: {cascade: {routes: [{to: c, accept: 'false'}, {to: duel}]}},",
}


@pytest.mark.parametrize("stop", [0, 5, 10, 15, 20])
@pytest.mark.parametrize("ticks", range(8))
@pytest.mark.parametrize("case", WITHIN)
def test_cancelling(case, stop, ticks):
    """Whenever the client leaves, a pair that was told of nothing that ends its champion's leg is told that it left."""
    duel = " duel: {challenge: {champion: a, challengers: [{name: x, to: b}]}}}"
    nodes = WITHIN[case] if case == "a champion" else WITHIN[case] + duel
    told = Told()
    outcome, one = played(planned(nodes), told, SCRIPT, stop=stop, ticks=ticks)
    ends = [event for event in told.events if event.startswith(("left", "answered"))]
    if "begin" in told.events:
        assert bool(ends) or (isinstance(outcome, TailCall) and one.pair is told)
    if outcome is None:
        assert one.pair is None


# --- nothing is different for the client

often = settings(derandomize=True, deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
LINES: list[Line] = [predicts(1, after=0), predicts(2, after=25), Says(500, {}), Fails(Cause.CONNECT, 0), Hangs()]
NOWHERE = "root=main"


@often
@given(grown(wild=True), st.lists(st.sampled_from(LINES), min_size=1), st.integers(1, 3), st.booleans(), st.data())
def test_nothing_is_different_for_the_client(graph, lines, challengers, noise, data):
    """With a challenge before any graph, outcome, calls, decisions and times are those of the graph alone.

    The graph alone stands behind a split with one route, since its nodes must keep their names.
    """
    several = [{"name": f"x{number}", "to": "z", "sample": 0.9} for number in range(challengers)]
    entries = {
        "split": {"routes": [{"name": "main", "to": "main", "weight": 1}]},
        "challenge": {"champion": "main", "challengers": several, "noise": noise},
    }
    stop = data.draw(st.sampled_from([None, None, 0, 10, 20, 25]))
    found = [_told(graph, {kind: entry}, lines, stop) for kind, entry in entries.items()]
    assert found[0] == found[1]


def _told(graph: Grown, root: dict[str, Any], lines: list[Line], stop: float | None) -> tuple[Any, ...]:
    nodes = {"root": root, "main": graph.nodes["root"]}
    models = {name: {"url": f"http://{name}:1/v1/models/{name}:predict"} for name in [*graph.script, "z"]}

    async def main() -> tuple[Any, ...]:
        ground = Ground(planned(nodes, models, timeout=0.1), {"z": lines, **graph.script}, [0.75] * 1000)
        loop, clients, champions = asyncio.get_running_loop(), Recording(), ScriptedCaller(graph.script)
        seams = Seams(Half(), clients, champions, loop.time, ground.arena)
        one = Run(ground.plan, Request(dict(REQUEST), BODY), seams, loop.time() + 0.1)
        task = asyncio.create_task(ended(one))
        if stop is not None:
            await asyncio.sleep(stop / 1000)
            task.cancel()
        await asyncio.wait([task])
        took = elapsed()
        outcome = None if task.cancelled() else task.result()
        if one.pair is not None:
            one.pair.left()
        await asyncio.sleep(10)
        assert ground.arena.free
        for challenger in ground.plan.challenge.challengers if ground.plan.challenge else ():
            assert sum(ground.outcomes(challenger.name).values()) == ground.eligible
        told = [one for one in clients.told if one[2:4] != ("root", "main")]
        return _shown(outcome), took, sorted(champions.events), told

    return run(main())


def _shown(outcome: Any) -> Any:
    """An outcome without the decision that only the split makes, and without names of plans."""
    if outcome is None:
        return None
    route = outcome.route.removeprefix(NOWHERE).removeprefix(",")
    if isinstance(outcome, TailCall):
        return outcome.model.key, route, outcome.payload, outcome.timeout
    return outcome.status, outcome.headers, outcome.body, route, outcome.details
