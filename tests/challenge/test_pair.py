"""One pair: what counts as what, when it is known, and what it leaves behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from extproc.challenge.limits import Limits
from extproc.engine.calling import Cause, Reply
from extproc.engine.result import Failure, Made
from tests.challenge.arenas import SAID, Ground, answer, challenge, ended, turn
from tests.engine.scripted import BODY, Fails, Hangs, Says, predicts, text
from tests.engine.virtual import run

if TYPE_CHECKING:
    from extproc.challenge.pair import LivePair
    from tests.engine.scripted import Line

PLAIN = challenge()
LONG = 10.0  # seconds: longer than any leg


def settled(ground: Ground, outcome: str, challenger: str = "x", times: int = 1) -> None:
    """The only outcome so far is this one, and nothing is held for it."""
    assert ground.outcomes(challenger) == {outcome: times}
    assert ground.arena.free, ground.arena


# --- both legs


def test_a_pair():
    """Both legs answered: they are compared, and the pair is recorded."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": predicts(0.7)})
        pair = ground.sampled()
        answer(pair, SAID)
        await asyncio.sleep(LONG)
        settled(ground, "paired")
        assert ground.of().agreement == {0: 1}
        (record,) = ground.records
        assert (record.request, record.challenger, record.agreement) == ("id-1", "x", 0)
        assert (bytes(record.champion), bytes(record.challenger_said)) == (b"[0.5]", b"[0.7]")

    run(main())


@pytest.mark.parametrize("first", ["champion", "challenger"])
def test_either_leg_may_be_first(first):
    """A pair is booked as soon as the later leg has answered, not before."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": predicts(0.5, after=50)})
        pair = ground.sampled()
        if first == "champion":
            answer(pair)
            await asyncio.sleep(0.049)
            assert ground.outcomes() == {}
            await asyncio.sleep(0.002)
        else:
            await asyncio.sleep(0.2)
            assert ground.outcomes() == {}
            answer(pair)
            await turn()
        settled(ground, "paired")

    run(main())


CHALLENGERS: dict[str, tuple[Line, str]] = {
    "answers": (predicts(0.5), "paired"),
    "answers 404": (Says(404, {}), "failed"),
    "answers 503": (Says(503, {}), "failed"),
    "answers 302": (Says(302, {}), "failed"),
    "is not there": (Fails(Cause.CONNECT), "failed"),
    "breaks off": (Fails(Cause.RESET), "failed"),
    "is busy": (Fails(Cause.OVERLOADED), "failed"),
    "answers too much": (Fails(Cause.TOO_LARGE), "too_large"),
    "hangs": (Hangs(), "timeout"),
    "is too slow": (predicts(0.5, after=1001), "timeout"),
    "answers no JSON": (Says(body=b"{"), "unparsable"),
    "answers no predictions": (Says(body={"x": 1}), "unparsable"),
    "answers more predictions": (predicts(0.5, 0.5), "unparsable"),
    "answers another kind": (predicts("spam"), "unparsable"),
    "answers nothing": (Says(204, b""), "unparsable"),
    "answers in another encoding": (
        Says(body=b"x", headers=(("content-encoding", "br"),)),
        "unparsable",
    ),
}


@pytest.mark.parametrize("case", CHALLENGERS)
def test_what_a_challenger_does(case):
    """Its failure, timeout and unreadable answer count under their names; the champion's answer is whole either way."""
    line, outcome = CHALLENGERS[case]

    async def main() -> None:
        ground = Ground(PLAIN, {"b": line})
        answer(ground.sampled())
        await asyncio.sleep(LONG)
        settled(ground, outcome)
        assert len(ground.records) == (outcome == "paired")

    run(main())


BIG = b"[" + b"1," * 600_000 + b"1]"
ENDED = {
    "answers 404": ((404, b"{}", {}), "champion_failed"),
    "answers 503": ((503, b"{}", {}), "champion_failed"),
    "answers 302": ((302, b"", {}), "champion_failed"),
    "answers without a status": ((0, b"", {}), "champion_failed"),
    "streams events": ((200, SAID, {"content_type": "text/event-stream; charset=utf-8"}), "champion_unparsable"),
    "answers too much": ((200, BIG, {}), "too_large"),
    "says that it answers too much": ((200, b"", {"content_length": "1048577"}), "too_large"),
    "says nonsense of its length": ((200, SAID, {"content_length": "9" * 5000}), "too_large"),
}
ANSWERED = {
    "answers no JSON": ((200, b"{", {}), "champion_unparsable"),
    "answers nothing": ((204, b"", {}), "champion_unparsable"),
    "answers in another encoding": ((200, SAID, {"content_encoding": "br"}), "champion_unparsable"),
    "answers in a broken encoding": ((200, SAID, {"content_encoding": "gzip"}), "champion_unparsable"),
    "says nonsense of its latency": ((200, SAID, {"x_extproc_latency": "9" * 5000}), "paired"),
}
LINES: dict[str, tuple[Line, str | None]] = {
    "answers": (predicts(0.5), None),
    "fails": (Says(500, {}), "failed"),
    "hangs": (Hangs(), "timeout"),
    "answers no JSON": (Says(body=b"{"), None),
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("case", ENDED)
def test_a_champion_that_fails(case, line):
    """The champion's failure counts whatever the challenger did, and so does an answer that is never compared."""
    (status, body, headers), outcome = ENDED[case]

    async def main() -> None:
        ground = Ground(PLAIN, {"b": LINES[line][0]})
        answer(ground.sampled(), body, status, **headers)
        await asyncio.sleep(LONG)
        settled(ground, outcome)

    run(main())


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("case", ANSWERED)
def test_a_champion_that_answers(case, line):
    """Whether it can be compared is found out when there is something to compare it with."""
    (status, body, headers), outcome = ANSWERED[case]

    async def main() -> None:
        ground = Ground(PLAIN, {"b": LINES[line][0]})
        answer(ground.sampled(), body, status, **headers)
        await asyncio.sleep(LONG)
        unread = outcome == "paired" and line == "answers no JSON"
        settled(ground, LINES[line][1] or ("unparsable" if unread else outcome))

    run(main())


def test_a_failed_champion_waits_for_nobody():
    """Its outcome is booked at once, though the challenger's leg goes on; the memory comes back when that has ended."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": Hangs()})
        answer(ground.sampled(), status=500)
        await turn()
        assert ground.outcomes() == {"champion_failed": 1}
        (ring,) = ground.arena._rings.values()
        assert repr(ring).endswith(f"{{'x': <Legs 1 under way, 0 in line, {len(BODY)} bytes>}}>")
        await asyncio.sleep(LONG)
        settled(ground, "champion_failed")
        assert [event.split()[1:] for event in ground.caller.events] == [["b", "called"], ["b", "timeout"]]

    run(main())


# --- the champion, as the engine knows it

RESULTS: dict[str, tuple[Reply | Failure, str]] = {
    "a response": (Reply(200, (), SAID), "paired"),
    "what was made here": (Made(200, (), SAID), "paired"),
    "a 404": (Reply(404, (), SAID), "champion_failed"),
    "a refusal made here": (Made(403, (), b""), "champion_failed"),
    "a timeout": (Failure(Cause.TIMEOUT, "a"), "champion_failed"),
    "a 5xx": (Failure(Cause.STATUS, "a", status=500), "champion_failed"),
    "too much": (Made(200, (), BIG), "too_large"),
}


@pytest.mark.parametrize("case", RESULTS)
def test_a_result_known_here(case):
    """What the engine made of the champion counts like a response that Envoy brought."""
    result, outcome = RESULTS[case]

    async def main() -> None:
        ground = Ground(PLAIN, {"b": predicts(0.5)})
        ground.sampled().answered(result)
        await asyncio.sleep(LONG)
        settled(ground, outcome)

    run(main())


# --- the client leaves

CUTS = {
    "before a response": lambda _: None,
    "amid the body": lambda pair: pair.response_began(200, {}) and pair.response_body(b"{"),
}


@pytest.mark.parametrize("case", CUTS)
def test_a_champion_cut_short(case):
    """A response that broke off, or that the client did not wait for, is a failed champion; the challenger goes on."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": predicts(0.5, after=900)})
        pair = ground.sampled()
        CUTS[case](pair)
        pair.left()
        await turn()
        assert ground.outcomes() == {"champion_failed": 1}
        await asyncio.sleep(LONG)
        settled(ground, "champion_failed")
        assert ground.caller.events[-1] == "900 b 200"

    run(main())


def test_leaving_after_the_answer():
    """A client that leaves when it has the whole answer changes nothing."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": predicts(0.5, after=900)})
        pair = ground.sampled()
        answer(pair)
        pair.left()
        await asyncio.sleep(LONG)
        settled(ground, "paired")

    run(main())


def test_leaving_before_the_request_is_complete():
    """A client that leaves amid its upload is a champion that failed; no challenger was called, and nothing is kept."""

    async def main() -> None:
        ground = Ground(PLAIN)
        pair = ground.sampled(None, whole=False)
        pair.left()
        await turn()
        settled(ground, "champion_failed")
        assert not ground.caller.calls

    run(main())


def test_a_request_too_large_to_copy():
    """It counts as such at once, and calls nobody."""

    async def main() -> None:
        ground = Ground(PLAIN)
        pair = ground.sampled(None, whole=False)
        pair.too_large()
        pair.left()
        await turn()
        settled(ground, "too_large")
        assert not ground.caller.calls

    run(main())


# --- time


def test_a_leg_has_the_graphs_timeout_from_its_own_start():
    """A leg that waited in line has its whole time from when its turn came."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": Hangs()}, limits=Limits(concurrency=1, queue=1))
        answer(ground.sampled())
        await asyncio.sleep(0.4)
        answer(ground.sampled())
        await asyncio.sleep(LONG)
        settled(ground, "timeout", times=2)
        assert ground.caller.events == ["0 b called", "1000 b timeout", "1000 b called", "2000 b timeout"]
        assert [call.deadline - call.began for call in ground.caller.calls] == [1.0, 1.0]

    run(main())


def latencies(ground: Ground) -> tuple[float | None, float | None]:
    """What the last record says, rounded to tenths of milliseconds."""
    ground.take()
    record = ground.records[-1]
    both = record.champion_latency, record.challenger_latency
    return tuple(None if one is None else round(one, 4) for one in both)  # type: ignore[return-value]


def measured(seconds: float, after: float) -> Says:
    """A response for which Envoy measured some time, in a call that took another."""

    class Measured(Says):
        def reply(self, call):
            found = super().reply(call)
            return Reply(found.status, found.headers, found.body, seconds, call.began)

    return Measured(200, text({"predictions": [0.5]}), after)


def test_latencies_are_envoys_own():
    """Of a tail call and of a challenger's call counts what Envoy measured, not how long we took to hear of it."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": measured(0.030, after=45)})
        pair = ground.sampled()
        await asyncio.sleep(0.5)
        answer(pair, x_extproc_latency="20000")
        await asyncio.sleep(LONG)
        assert latencies(ground) == (0.020, 0.030)

    run(main())


def test_latencies_run_from_a_legs_start():
    """What a leg did before its last call counts too, on both sides."""
    chain = "{chain: {steps: [{name: one, to: c}, {name: two, to: %s}]}}"

    async def main() -> None:
        nodes = challenge(f"[{{name: x, to: {chain % 'b'}}}]", chain % "a")
        ground = Ground(nodes, {"b": measured(0.030, after=45), "c": predicts(1, after=100)})
        request = ground.run()
        outcome = await ended(request)
        assert outcome.model.name == "a"  # type: ignore[union-attr]
        pair = request.pair
        answer(pair, x_extproc_latency="20000")  # type: ignore[arg-type]
        await asyncio.sleep(LONG)
        assert latencies(ground) == (0.120, 0.130)

    run(main())


def test_latency_of_what_was_made_here():
    """Of an answer that was put together here counts the time until it was."""
    made = "{chain: {steps: [{name: one, to: %s}], output: '${steps.one.body}'}}"

    async def main() -> None:
        nodes = challenge(f"[{{name: x, to: {made % 'b'}}}]", made % "a")
        ground = Ground(nodes, {"a": predicts(0.5, after=70), "b": measured(0.030, after=45)})
        await ended(ground.run())
        await asyncio.sleep(LONG)
        assert latencies(ground) == (0.070, 0.045)

    run(main())


def test_a_latency_that_nobody_measured():
    """Without Envoy's word for it the champion's latency is unknown, and the challenger's counts all the same."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": measured(0.030, after=45)})
        answer(ground.sampled())
        await asyncio.sleep(LONG)
        assert latencies(ground) == (None, 0.030)
        assert (sum(ground.of().champion_latency.values()), sum(ground.of().challenger_latency.values())) == (0, 1)

    run(main())


def test_a_late_event_changes_no_latency():
    """What comes after the champion's end leaves its figures alone."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": measured(0.030, after=45)})
        pair = ground.sampled()
        answer(pair, x_extproc_latency="20000")
        pair.response_began(200, {"x-extproc-latency": "1"})
        pair.response_body(b"x")
        pair.response_ended()
        await asyncio.sleep(LONG)
        settled(ground, "paired")
        assert latencies(ground)[0] == 0.020

    run(main())


# --- the body in pieces


def test_a_body_in_pieces():
    """Pieces are put together in order; how they were cut makes no difference."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": predicts(0.5)})
        pair = ground.sampled()
        assert pair.response_began(200, {})
        for byte in SAID:
            assert pair.response_body(bytes([byte]))
        pair.response_ended()
        await asyncio.sleep(LONG)
        settled(ground, "paired")
        assert ground.of().agreement == {10_000: 1}

    run(main())


def test_no_more_is_shown_than_is_needed():
    """As soon as the response cannot matter, the pair says so, and holds nothing of it."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": predicts(0.5)}, limits=Limits(response=100))
        assert not ground.sampled().response_began(500, {})
        assert not ground.sampled().response_began(200, {"content-type": "text/event-stream"})
        assert not ground.sampled().response_began(200, {"content-length": "101"})
        pair = ground.sampled()
        assert pair.response_began(200, {"content-length": "100"})
        assert pair.response_body(b"x" * 100)
        assert not pair.response_body(b"x")
        await asyncio.sleep(LONG)
        assert ground.outcomes() == {"champion_failed": 1, "champion_unparsable": 1, "too_large": 2}
        assert ground.arena.free

    run(main())


def test_begin_tells_whether_the_response_is_wanted():
    """Where every challenger's leg is shed, nobody needs to see what the champion answers."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": Hangs()}, limits=Limits(concurrency=1, queue=0))
        ground.sampled()
        ground.unsampled()  # sampled, and shed
        await turn()
        assert ground.outcomes() == {"shed": 1}
        ground.arena.close()
        await turn()

    run(main())


# --- noise

NOISY = challenge(more="noise: true")


def test_the_champion_is_called_again():
    """With noise the champion is called once more, as a sub-call, and its agreement with itself is counted."""

    async def main() -> None:
        ground = Ground(NOISY, {"b": predicts(0.5), "a": predicts(0.7)})
        answer(ground.sampled())
        await asyncio.sleep(LONG)
        settled(ground, "paired")
        assert sorted(call.model.name for call in ground.caller.calls) == ["a", "b"]
        assert (ground.of().agreement, ground.of().noise, ground.of().beyond_noise) == (
            {10_000: 1},
            {0: 1},
            {10_000: 1},
        )

    run(main())


@pytest.mark.parametrize("line", [Says(500, {}), Hangs(), Says(body=b"{"), Fails(Cause.CONNECT)], ids=repr)
def test_noise_that_is_not_known(line):
    """A second champion's failure is nobody's outcome: the pair is compared, its noise is not counted."""

    async def main() -> None:
        ground = Ground(NOISY, {"b": predicts(0.5), "a": line})
        answer(ground.sampled())
        await asyncio.sleep(LONG)
        settled(ground, "paired")
        assert (ground.of().noise, ground.of().beyond_noise) == ({}, {})

    run(main())


def test_a_champion_that_disagrees_in_kind_with_itself():
    """Answers of two kinds do not agree at all."""

    async def main() -> None:
        ground = Ground(NOISY, {"b": predicts(0.5), "a": predicts("spam")})
        answer(ground.sampled())
        await asyncio.sleep(LONG)
        assert ground.of().noise == {0: 1}
        assert ground.of().beyond_noise == {10_000: 1}

    run(main())


def test_noise_is_called_once_for_all_challengers():
    """Several challengers share one second call of the champion."""

    async def main() -> None:
        nodes = challenge("[{name: x, to: b}, {name: y, to: c}]", more="noise: true")
        ground = Ground(nodes, {"a": predicts(0.5), "b": predicts(0.5), "c": predicts(0.6)})
        answer(ground.sampled())
        await asyncio.sleep(LONG)
        assert sorted(call.model.name for call in ground.caller.calls) == ["a", "b", "c"]
        assert ground.of("x").noise == ground.of("y").noise == {10_000: 1}
        settled(ground, "paired", "y")

    run(main())


def test_no_noise_without_a_challenger():
    """Where all challengers are shed the champion is not called again."""

    async def main() -> None:
        ground = Ground(NOISY, limits=Limits(concurrency=0, queue=0))
        ground.unsampled()
        await turn()
        settled(ground, "shed")
        assert not ground.caller.calls

    run(main())


# --- several challengers


def test_each_challenger_has_its_own_outcome():
    """What one challenger does is nothing to the others."""

    async def main() -> None:
        nodes = challenge("[{name: x, to: b}, {name: y, to: c}, {name: z, to: d, sample: 0}]")
        ground = Ground(nodes, {"b": predicts(0.5), "c": Hangs()}, [0.5])
        answer(ground.sampled())
        await asyncio.sleep(0.5)
        assert ground.outcomes("x") == {"paired": 1}
        assert ground.outcomes("y") == {}
        await asyncio.sleep(LONG)
        assert [ground.outcomes(name) for name in "xyz"] == [{"paired": 1}, {"timeout": 1}, {"unsampled": 1}]
        assert ground.arena.free

    run(main())


def test_a_challenger_may_be_any_node():
    """A chain, an ensemble, a fallback or a respond can challenge a model; its decisions are not the client's."""
    nodes = {
        "chain": "{chain: {steps: [{name: one, to: c}, {name: two, to: b, input: '${steps.one.body}'}]}}",
        "ensemble": "{ensemble: {members: [{name: one, to: b}, {name: two, to: b}], combine: mean}}",
        "fallback": "{fallback: {routes: [{to: d}, {to: b}]}}",
        "split": "{split: {by: request.method, routes: [{to: b, weight: 1}]}}",
        "respond": "{respond: {status: 200, body: {predictions: [0.5]}}}",
        "refusal": "{respond: {status: 403}}",
        "nowhere": "{switch: {cases: []}}",
        "wrong": "{respond: {status: 200, body: '${request.headers.nope}'}}",
    }
    outcomes = dict.fromkeys(nodes, "paired") | dict.fromkeys(["refusal", "nowhere", "wrong"], "failed")

    async def main() -> None:
        for kind, node in nodes.items():
            script: dict[str, Line] = {"b": predicts(0.5), "c": predicts(1), "d": Fails(Cause.CONNECT)}
            ground = Ground(challenge(f"[{{name: x, to: {node}}}]"), script)
            answer(ground.sampled())
            await asyncio.sleep(LONG)
            settled(ground, outcomes[kind])
            assert ground.clients.told == [], kind
            assert not ground.champions.calls

    run(main())


# --- comparing


def test_a_value_that_fails_is_told():
    """``compare.value`` without a value is unparsable, and counted as an expression that failed: once for each leg."""

    async def main() -> None:
        nodes = challenge(more="compare: {value: 'response.body.nope[0]'}")
        ground = Ground(nodes, {"b": predicts(0.5)})
        answer(ground.sampled())
        await asyncio.sleep(LONG)
        settled(ground, "champion_unparsable")
        answer(ground.sampled(), b'{"nope":[1]}')
        await asyncio.sleep(LONG)
        assert ground.outcomes() == {"champion_unparsable": 1, "unparsable": 1}
        assert ground.recorder.told == [("failed", "fraud", "root", "response.body.nope[0]")] * 2

    run(main())


def test_large_responses_are_compared_apart():
    """Responses that are large, or encoded and so may be, are compared in a thread, with the same figures."""

    async def main() -> None:
        values = [number / 8 for number in range(20_000)]
        large, small = text({"predictions": values}), text({"predictions": values[:10]})
        figures = {}
        for body in (large, small):
            ground = Ground(PLAIN, {"b": Says(body=body)})
            answer(ground.sampled(), body)
            await asyncio.sleep(LONG)
            settled(ground, "paired")
            assert ground.arena._thread.works == (body is large)  # type: ignore[attr-defined]
            figures[body] = ground.of()
        assert (figures[large].elements, figures[large].equal) == (20_000, 20_000)
        assert (figures[small].elements, figures[small].equal) == (10, 10)
        assert figures[large].agreement == figures[small].agreement

    run(main())


def test_a_comparison_that_breaks_loses_no_request(monkeypatch, caplog):
    """Our own mistake is logged, and the request counts as interrupted: neither leg is to blame."""

    async def main() -> None:
        for body in (SAID, text({"predictions": [1] * 40_000})):
            ground = Ground(PLAIN, {"b": Says(body=body)})
            monkeypatch.setattr(type(ground.arena._rings[next(iter(ground.arena._rings))].comparer), "read", broken)
            answer(ground.sampled(), body)
            await asyncio.sleep(LONG)
            settled(ground, "interrupted")

    run(main())
    assert caplog.messages == ["a pair could not be compared"] * 2


def broken(*_arguments: object) -> None:
    """Fail as nothing should."""
    raise RuntimeError("broken")


def test_a_leg_that_breaks_loses_no_request(monkeypatch, caplog):
    """A leg that our own mistake ends has failed."""

    async def main() -> None:
        ground = Ground(PLAIN)
        monkeypatch.setattr(ground.caller, "call", broken)
        answer(ground.sampled())
        await asyncio.sleep(LONG)
        settled(ground, "failed")

    run(main())
    assert caplog.messages == ["a challenger's leg could not be run"]


def test_repr_says_the_state():
    """A pair says who is waited for."""

    async def main() -> None:
        ground = Ground(challenge("[{name: x, to: b}, {name: y, to: c}]"), {"b": predicts(0.5), "c": Hangs()})
        pair: LivePair = ground.sampled()
        answer(pair)
        await asyncio.sleep(0.1)
        assert repr(pair).endswith(" champion over, waits for ['y']>")
        assert repr(ground.arena) == "<Arena 1 challenges, 1 pairs open>"
        await asyncio.sleep(LONG)

    run(main())
