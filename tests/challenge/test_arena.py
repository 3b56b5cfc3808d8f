"""The arena: every request that reaches a challenge is in exactly one count for each challenger, whatever happens."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.challenge import pair as pair_module
from extproc.challenge.evidence import OUTCOMES
from extproc.challenge.limits import NO_SEGMENT, OTHER_SEGMENT, Limits
from extproc.engine.calling import Cause, Reply
from extproc.engine.payload import Payload
from extproc.engine.result import Failure, Made
from tests.challenge.arenas import SAID, Ground, answer, challenge, ended, turn
from tests.engine.scripted import BODY, Fails, Hangs, Says, predicts, text
from tests.engine.virtual import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from extproc.challenge.pair import LivePair

PLAIN = challenge()
LONG = 10.0
TWO = "[{name: x, to: b}, {name: y, to: c}]"


# --- who is eligible, who is sampled


def test_an_unsampled_request():
    """It is counted, has no pair, and calls nobody."""

    async def main() -> None:
        ground = Ground(challenge("[{name: x, to: b, sample: 0.25}]"), chance=[0.25, 0.24])
        ground.unsampled()
        assert ground.outcomes() == {"unsampled": 1}
        ground.sampled().left()
        await asyncio.sleep(LONG)
        assert ground.outcomes() == {"unsampled": 1, "champion_failed": 1}
        assert ground.eligible == 2

    run(main())


def test_each_challenger_is_drawn_for_itself():
    """A request may be sampled for one challenger and not for another; sticky sampling draws no chance."""
    nodes = challenge(
        "[{name: x, to: b, sample: 0.5}, {name: y, to: c, sample: 0.5}, {name: z, to: d, sample: 0.5, by: request.headers.u}]"
    )

    async def main() -> None:
        ground = Ground(nodes, {name: predicts(0.5) for name in "bcd"}, chance=[0.4, 0.6] * 20)
        for number in range(20):
            answer(ground.sampled(u=str(number)))
        await asyncio.sleep(LONG)
        assert (ground.outcomes("x"), ground.outcomes("y")) == ({"paired": 20}, {"unsampled": 20})
        assert set(ground.outcomes("z")) == {"paired", "unsampled"}
        assert sum(ground.outcomes("z").values()) == ground.eligible == 20

    run(main())


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto", "application/grpc-web"])
def test_grpc_is_never_sampled(kind):
    """A gRPC request counts as unsupported for every challenger, and nothing of it is copied."""

    async def main() -> None:
        ground = Ground(challenge(TWO), chance=[])
        ground.unsampled(content_type=kind)
        assert ground.outcomes("x") == ground.outcomes("y") == {"unsupported": 1}
        assert ground.eligible == 1

    run(main())


def test_a_body_that_is_never_seen():
    """A champion that answers by the headers alone never waits for a body: no challenger can have it."""

    async def main() -> None:
        ground = Ground(challenge(champion="{respond: {status: 200, body: ok}}"), {"b": predicts(0.5)})
        outcome = await ended(ground.run(None, whole=False))
        assert outcome.status == 200  # type: ignore[union-attr]
        assert ground.outcomes() == {"unsupported": 1}
        await ended(ground.run(None))
        await asyncio.sleep(LONG)
        assert ground.outcomes() == {"unsupported": 1, "champion_unparsable": 1}

    run(main())


def test_a_request_that_reaches_the_challenge_twice_is_one():
    """A graph may lead to its challenge more than once: the first time counts, and the champion is run each time."""
    nodes = (
        "{root: {chain: {steps: [{name: one, to: duel}, {name: two, to: duel}], output: '${steps.two.body}'}},"
        " duel: {challenge: {champion: a, challengers: [{name: x, to: b}]}}}"
    )

    async def main() -> None:
        ground = Ground(nodes, {"a": predicts(0.5), "b": predicts(0.5)})
        await ended(ground.run())
        await asyncio.sleep(LONG)
        assert ground.outcomes() == {"paired": 1}
        assert ground.eligible == 1
        assert len(ground.champions.calls) == 2

    run(main())


@pytest.mark.parametrize("deep", [False, True])
def test_a_request_that_fails_at_the_champion(deep):
    """A request that the champion's decisions refuse has reached the challenge, and its champion failed."""
    switch = "{switch: {cases: [{when: request.body.n == 1, to: a}], default: a}}"
    nodes = challenge(champion=switch)
    if deep:
        nodes = (
            "{root: {chain: {steps: [{name: one, to: e}, {name: two, to: duel}]}},"
            f" duel: {{challenge: {{champion: {switch}, challengers: [{{name: x, to: b}}]}}}}}}"
        )

    async def main() -> None:
        ground = Ground(nodes, {"b": predicts(0.5), "e": predicts(1)})
        outcome = await ended(ground.run(b"{"))
        assert outcome.status == 400  # type: ignore[union-attr]
        await asyncio.sleep(LONG)
        assert ground.outcomes() == {"champion_failed": 1}
        assert ground.eligible == 1
        assert ground.arena.free

    run(main())


def test_a_challenge_without_a_request():
    """A challenge is told of as soon as its generation is in force, with nothing in it; then only when it changed."""

    async def main() -> None:
        ground = Ground(challenge(TWO))
        assert ground.arena.windows() == []
        ground.run(content_type="application/grpc").start()
        (window,) = ground.arena.windows()
        assert (window.graph, window.challenge) == ("fraud", ground.plan.challenge.key)  # type: ignore[union-attr]
        assert (window.eligible, window.challengers) == (1, ("x", "y"))
        assert ground.arena.windows() == []

    run(main())


def test_a_new_generation_of_the_same_challenge():
    """A reload that leaves the challenge as it was goes on with its sums; another challenge has its own."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": predicts(0.5)})
        answer(ground.sampled())
        await asyncio.sleep(LONG)
        same, other = Ground(PLAIN, timeout=2.0).plan, Ground(challenge(champion="c")).plan
        ground.arena.enter([same, other])
        ground.plan = same
        answer(ground.sampled())
        ground.plan = other
        answer(ground.sampled())
        await asyncio.sleep(LONG)
        windows = {window.challenge: window for window in ground.arena.windows()}
        assert {key: window.eligible for key, window in windows.items()} == {
            same.challenge.key: 2,  # type: ignore[union-attr]
            other.challenge.key: 1,  # type: ignore[union-attr]
        }

    run(main())


# --- limits


def test_concurrency_and_queue():
    """So many legs run, so many wait for their turn, the rest is shed at once; the champion is never asked to wait."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": predicts(0.5, after=100)}, limits=Limits(concurrency=2, queue=1))
        for _ in range(3):
            answer(ground.sampled())
        for _ in range(2):
            ground.unsampled()
        await turn()
        assert ground.outcomes() == {"shed": 2}
        assert ground.caller.open == {"b": 2}
        await asyncio.sleep(0.15)
        assert ground.outcomes() == {"shed": 2, "paired": 2}
        assert ground.caller.open == {"b": 1}
        await asyncio.sleep(LONG)
        assert ground.outcomes() == {"shed": 2, "paired": 3}
        assert ground.arena.free

    run(main())


def test_a_hung_challenger_takes_nothing_from_another():
    """One challenger's legs, line and memory are its own."""

    async def main() -> None:
        limits = Limits(concurrency=2, queue=0, memory=10 * len(BODY))
        ground = Ground(challenge(TWO), {"b": Hangs(), "c": predicts(0.5, after=1)}, limits=limits)
        for _ in range(12):
            answer(ground.sampled())
            await asyncio.sleep(0.01)
        assert ground.outcomes("y") == {"paired": 12}
        assert ground.outcomes("x") == {"shed": 10}
        await asyncio.sleep(LONG)
        assert ground.outcomes("x") == {"shed": 10, "timeout": 2}
        assert ground.arena.free

    run(main())


def test_memory_of_one_challenger_is_not_anothers():
    """Bodies that wait for a challenger that hangs leave room for those that wait for the others."""

    async def main() -> None:
        limits = Limits(memory=3 * 1000)
        ground = Ground(challenge(TWO), {"b": Hangs(), "c": predicts(0.5, after=1)}, limits=limits)
        for _ in range(12):
            answer(ground.sampled(b"x" * 950))
            await asyncio.sleep(0.01)
        assert ground.outcomes("y") == {"paired": 12}
        assert ground.outcomes("x") == {"shed": 9}
        await asyncio.sleep(LONG)
        assert ground.outcomes("x") == {"shed": 9, "timeout": 3}
        assert ground.arena.free

    run(main())


HELD = {
    "the request": (1000, b"", 0, 999),
    "the champion's response": (0, b"x" * 1000, 0, 999),
    "the challenger's response": (0, b"", 1000, 999),
    "all of them": (400, b"x" * 300, 300, 999),
}


@pytest.mark.parametrize("case", HELD)
@pytest.mark.parametrize("enough", [False, True])
@pytest.mark.parametrize("first", ["champion", "challenger"])
def test_memory(case, enough, first):
    """The request's body and both responses are held within the limit; what does not fit is shed, not kept."""
    asked, champion, challenger, memory = HELD[case]
    line = Says(body=b"y" * challenger, after=1 if first == "challenger" else 50)

    async def main() -> None:
        ground = Ground(PLAIN, {"b": line}, limits=Limits(memory=memory + enough))
        request = ground.run(b"x" * asked)
        request.start()
        pair = request.pair
        await asyncio.sleep(0.01)
        if pair is not None and pair.response_began(200, {}) and pair.response_body(champion):
            pair.response_ended()
        await asyncio.sleep(LONG)
        assert ground.outcomes() == {"champion_unparsable" if enough else "shed": 1}
        assert ground.arena.free

    run(main())


@pytest.mark.parametrize("enough", [False, True])
def test_memory_of_a_result_known_here(enough):
    """The champion's answer is held too where it was put together here."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": Hangs()}, limits=Limits(memory=999 + enough))
        ground.sampled(None).answered(Made(200, (), b"x" * 1000))
        await asyncio.sleep(LONG)
        assert ground.outcomes() == {"timeout" if enough else "shed": 1}
        assert ground.arena.free

    run(main())


def test_memory_is_held_for_those_who_wait():
    """A challenger that was shed holds nothing of the response that another waits for."""

    async def main() -> None:
        ground = Ground(challenge(TWO), {"b": Hangs(), "c": Hangs()}, limits=Limits(memory=1000))
        (ring,) = ground.arena._rings.values()
        ring.legs["x"].hold(900)
        pair = ground.sampled(b"x" * 200)
        assert pair.response_began(200, {})
        assert pair.response_body(b"y" * 50)
        assert [ring.legs[name].held for name in "xy"] == [900, 250]
        await asyncio.sleep(LONG)
        pair.left()
        await turn()
        assert (ground.outcomes("x"), ground.outcomes("y")) == ({"shed": 1}, {"champion_failed": 1})
        assert [ring.legs[name].held for name in "xy"] == [900, 0]

    run(main())


def test_memory_of_many_champions_that_take_long():
    """Challengers' answers that wait for slow champions are bounded, however many there are."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": Says(body=b"y" * 1000, after=1)}, limits=Limits(memory=10_500))
        pairs = []
        for _ in range(30):
            pairs.append(ground.sampled(None))
            await asyncio.sleep(0.01)
        assert ground.outcomes() == {"shed": 20}
        for pair in pairs:
            answer(pair, b"")
        await asyncio.sleep(LONG)
        assert ground.outcomes() == {"shed": 20, "champion_unparsable": 10}
        assert ground.arena.free

    run(main())


# --- segments and records


def test_segments():
    """Every figure is told apart by ``compare.by``; what no challenger saw is in the whole alone."""
    nodes = challenge("[{name: x, to: b, sample: 0.5}]", more="compare: {by: request.headers.tier}")

    async def main() -> None:
        ground = Ground(nodes, {"b": predicts(0.5)}, chance=[0.1, 0.1, 0.1, 0.9])
        answer(ground.sampled(tier="gold"))
        answer(ground.sampled(tier="lead"), status=500)
        answer(ground.sampled())
        ground.unsampled(tier="gold")
        await asyncio.sleep(LONG)
        assert ground.of(segment="gold").outcomes == {"paired": 1}
        assert ground.of(segment="gold").agreement == {10_000: 1}
        assert ground.of(segment="lead").outcomes == {"champion_failed": 1}
        assert ground.of(segment=NO_SEGMENT).outcomes == {"paired": 1}
        assert ground.of().outcomes == {"unsampled": 1}
        assert [record.segment for record in ground.records] == ["gold", NO_SEGMENT]
        assert ground.recorder.told == [("failed", "fraud", "root", "request.headers.tier")]

    run(main())


BY = {
    "request.headers.tier": (("a" * 100, "a" * 64), ("", NO_SEGMENT)),
    "1": (("", "1"),),
    "1.0": (("", "1"),),
    "true": (("", "true"),),
    "null": (("", NO_SEGMENT),),
    "[1, 'a']": (("", '[1,"a"]'),),
    "request.body.nope": (("", NO_SEGMENT),),
    "request.body.instances[0][0]": (("", "1.1"),),
}


@pytest.mark.parametrize("by", BY)
def test_a_segments_name(by):
    """It is the value's text as a split's key has it, cut to its longest; none where there is no value."""

    async def main() -> None:
        for tier, name in BY[by]:
            ground = Ground(challenge(more=f'compare: {{by: "{by}"}}'), {"b": predicts(0.5)})
            answer(ground.sampled(b'{"instances": [[1.10]]}', tier=tier))
            await asyncio.sleep(LONG)
            ground.take()
            assert list(ground.evidence["x"]) == [name]

    run(main())


def test_a_segment_of_a_body_that_is_no_json():
    """A request whose body cannot be read is in no segment, and is compared all the same."""

    async def main() -> None:
        ground = Ground(challenge(more="compare: {by: request.body.x}"), {"b": predicts(0.5)})
        answer(ground.sampled(b"{"))
        await asyncio.sleep(LONG)
        assert ground.of(segment=NO_SEGMENT).outcomes == {"paired": 1}
        assert ground.recorder.told == []

    run(main())


def test_many_segments():
    """Above the limit further values are put together, in the records too."""

    async def main() -> None:
        limits = Limits(segments=3)
        ground = Ground(challenge(more="compare: {by: request.headers.u}"), {"b": predicts(0.5)}, limits=limits)
        for user in "abcdeab":
            answer(ground.sampled(u=user))
            await asyncio.sleep(0.1)
        ground.take()
        found = {name: evidence.outcomes["paired"] for name, evidence in ground.evidence["x"].items()}
        assert found == {"a": 2, "b": 2, "c": 1, OTHER_SEGMENT: 2}
        assert [record.segment for record in ground.records] == ["a", "b", "c", OTHER_SEGMENT, OTHER_SEGMENT, "a", "b"]

    run(main())


def test_a_body_in_the_segment_that_comes_later():
    """A body that only ``compare.by`` reads is there when the pair is booked, though nobody waited for it."""

    async def main() -> None:
        ground = Ground(challenge(more="compare: {by: request.body.tier}"), {"b": predicts(0.5)})
        assert not ground.plan.reads_body
        request = ground.run(None, whole=False)
        request.start()
        request.request.raw_body = b'{"tier": "gold"}'
        assert request.pair is not None
        request.pair.begin(Payload(request.request.raw_body, None, own=True))
        answer(request.pair)  # type: ignore[arg-type]
        await asyncio.sleep(LONG)
        assert ground.of(segment="gold").outcomes == {"paired": 1}

    run(main())


@pytest.mark.parametrize("bodies", [False, True])
def test_bodies_of_examples(bodies):
    """A request's body is kept where that is on and the legs disagree, cut to its longest, and never otherwise."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": predicts(0.7)}, bodies=bodies, limits=Limits(body=10))
        for body, said in ((b"0123456789abc", SAID), (None, SAID), (b"\xff", SAID), (b"x", b'{"predictions":[0.7]}')):
            answer(ground.sampled(body), said)
            await asyncio.sleep(LONG)
        ground.take()
        expected = ["0123456789", None, "\N{REPLACEMENT CHARACTER}", None] if bodies else [None] * 4
        assert [record.body for record in ground.records] == expected
        assert [record.agreement for record in ground.records] == [0, 0, 0, 1]

    run(main())


def test_records_that_are_too_many_or_too_large():
    """What is not kept is counted by its reason; the figures are complete all the same."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": predicts(0.5)}, limits=Limits(records=2))
        for _ in range(5):
            answer(ground.sampled())
        await asyncio.sleep(LONG)
        large = text({"predictions": ["x" * 70_000]})
        ground.caller._script["b"] = [Says(body=large)]
        answer(ground.sampled(), large)
        await asyncio.sleep(LONG)
        assert ground.outcomes() == {"paired": 6}
        assert (len(ground.records), ground.dropped) == (2, {"records": 3, "large": 1})

    run(main())


# --- the end


def test_closing():
    """What is open is interrupted, in line and under way; what is booked stays; nothing is left."""

    async def main() -> None:
        ground = Ground(challenge(TWO, more="noise: true"), {"a": Hangs(), "b": predicts(0.5), "c": Hangs()})
        answer(ground.sampled())
        ground.sampled(None, whole=False)
        answer(ground.sampled(), status=500)
        await asyncio.sleep(0.5)
        ground.arena.close()
        assert ground.outcomes("x") == {"interrupted": 2, "champion_failed": 1}
        assert ground.outcomes("y") == {"interrupted": 2, "champion_failed": 1}
        await turn()
        assert ground.arena.free
        assert not +ground.caller.open

    run(main())


def test_a_leg_that_is_cut_off():
    """A leg whose task is cancelled, as all are when an event loop ends, is interrupted."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": Hangs()})
        answer(ground.sampled())
        await turn()
        (ring,) = ground.arena._rings.values()
        ring.legs["x"].stop()
        await turn()
        assert ground.outcomes() == {"interrupted": 1}
        assert ground.arena.free

    run(main())


def test_closing_before_a_leg_began():
    """A leg that had no turn yet, or stands in line, is interrupted like any other."""

    async def main() -> None:
        ground = Ground(PLAIN, {"b": Hangs()}, limits=Limits(concurrency=1, queue=5))
        pairs = [ground.sampled() for _ in range(3)]
        ground.arena.close()
        assert ground.outcomes() == {"interrupted": 3}
        for pair in pairs:
            answer(pair)
            pair.left()
        await turn()
        assert ground.outcomes() == {"interrupted": 3}
        assert ground.arena.free

    run(main())


async def test_closing_while_legs_are_compared():
    """A comparison that a thread is at when its process ends is interrupted, and its result is nobody's."""
    ground = Ground(PLAIN, {"b": Says(body=text({"predictions": [0.5] * 40_000}), after=0)})
    ground.arena._thread = ThreadPoolExecutor(1)
    answer(ground.sampled(), text({"predictions": [0.5] * 40_000}))
    while not ground.arena._apart:
        await asyncio.sleep(0)
    ground.arena.close()
    assert ground.outcomes() == {"interrupted": 1}
    await turn()
    assert ground.outcomes() == {"interrupted": 1}
    assert ground.arena.free


async def test_a_thread_compares():
    """The loop goes on while a large pair is compared, and books it when that is done."""
    large = text({"predictions": [0.5] * 40_000})
    ground = Ground(PLAIN, {"b": Says(body=large, after=0)})
    ground.arena._thread = ThreadPoolExecutor(1)
    answer(ground.sampled(), large)
    async with asyncio.timeout(30):
        while not ground.arena.free:
            await asyncio.sleep(0)
    assert ground.outcomes() == {"paired": 1}
    assert ground.of().equal == 40_000
    ground.arena.close()


# --- whatever happens


@dataclass(frozen=True)
class Event:
    """Something that a pair is told at a moment, in milliseconds."""

    at: int
    what: str
    tell: Callable[[LivePair], object]

    def __repr__(self) -> str:
        """Say it."""
        return f"{self.at} {self.what}"


TOLD: dict[str, Callable[[LivePair], object]] = {
    "begin": lambda pair: pair.begin(Payload(b"x" * 50, None, own=True)),
    "too large": lambda pair: pair.too_large(),
    "handed over": lambda pair: pair.handed_over(pair._run.plan.models["a"]),
    "answered": lambda pair: pair.answered(Reply(200, (), SAID)),
    "answered much": lambda pair: pair.answered(Made(200, (), b"x" * 500)),
    "failed": lambda pair: pair.answered(Failure(Cause.RESET, "a")),
    "200": lambda pair: pair.response_began(200, {"x-extproc-latency": "1000"}),
    "500": lambda pair: pair.response_began(500, {}),
    "events": lambda pair: pair.response_began(200, {"content-type": "text/event-stream"}),
    "gzip": lambda pair: pair.response_began(200, {"content-encoding": "gzip"}),
    "large": lambda pair: pair.response_began(200, {"content-length": "100000"}),
    "prediction": lambda pair: pair.response_body(SAID),
    "piece": lambda pair: pair.response_body(b"x" * 60),
    "ended": lambda pair: pair.response_ended(),
    "left": lambda pair: pair.left(),
}
FIRST = ["begin", "begin", "too large", "left"]
LATER = [name for name in TOLD if name not in {"begin", "too large"}]
PROPER = [["200", "prediction", "ended"], ["answered"], ["200", "piece", "left"], ["500", "left"], ["left"], []]
LINES: list[Any] = [
    predicts(0.5), predicts(0.6, after=0), predicts(0.5, after=999), Says(500, {}), Says(204, b""), Says(body=b"{"),
    Says(body=b"y" * 150), Says(body=b"y" * 500), Fails(Cause.CONNECT, 0), Fails(Cause.TOO_LARGE), Hangs(),
    predicts("spam"), Says(body=SAID, headers=(("content-encoding", "gzip"),)),
]  # fmt: skip
TIMES = st.sampled_from([0, 0, 1, 5, 10, 20, 500, 1000, 1010, 1500])


@st.composite
def stories(draw: Any) -> tuple[bool, list[Event]]:
    """What happens to one request, and whether it is whole when it comes: a proper champion, or anything at any time.

    A request that is not whole is completed, or is not, before the champion answers; in the end the client leaves.
    """
    names = draw(st.sampled_from(PROPER)) if draw(st.booleans()) else draw(st.lists(st.sampled_from(LATER), max_size=6))
    times = sorted(draw(TIMES) for _ in range(len(names) + 1))
    events = [Event(at, name, TOLD[name]) for at, name in zip(times[1:], names, strict=True)]
    whole, first = draw(st.booleans()), draw(st.sampled_from(FIRST))
    begun = [] if whole else [Event(times[0], first, TOLD[first])]
    return whole, [*begun, *events, Event(2000, "left", TOLD["left"])]


@settings(derandomize=True, deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(TIMES, stories()), max_size=8),
    st.integers(1, 3),
    st.booleans(),
    st.data(),
)
def test_every_request_is_in_exactly_one_count(requests, challengers, noise, data):
    """Any events in any order, any challengers, any limits, an end at any time: the counts add up, and nothing is left."""
    samples = [data.draw(st.sampled_from([1, 0.5])) for _ in range(challengers)]
    parts = ", ".join(f"{{name: n{at}, to: {'bcd'[at]}, sample: {share}}}" for at, share in enumerate(samples))
    script = {name: data.draw(st.lists(st.sampled_from(LINES), min_size=1, max_size=8)) for name in "abcd"}
    limits = Limits(
        data.draw(st.integers(1, 3)), data.draw(st.integers(0, 2)), data.draw(st.sampled_from([100, 300, 10**9])), 200
    )
    close = data.draw(st.sampled_from([None, None, 0, 10, 400, 1200]))
    chances = [data.draw(st.sampled_from([0.2, 0.7])) for _ in range(len(requests) * challengers)]

    async def main() -> None:
        ground = Ground(
            challenge(f"[{parts}]", more=f"noise: {'true' if noise else 'false'}"), script, chances, limits=limits
        )
        loop, reached = asyncio.get_running_loop(), 0
        start = loop.time()

        def begin(whole: bool, events: list[Event]) -> None:  # noqa: FBT001
            nonlocal reached
            reached += 1
            request = ground.run(whole=whole)
            request.start()
            pair: Any = request.pair
            for event in events if pair else ():
                loop.call_at(max(loop.time(), start + event.at / 1000), event.tell, pair)

        for at, (whole, events) in requests:
            if close is None or at < close:
                loop.call_at(start + at / 1000, begin, whole, events)
        if close is not None:
            loop.call_at(start + close / 1000, ground.arena.close)
        await asyncio.sleep(0.6)
        ground.take()
        await asyncio.sleep(LONG)
        ground.take()
        for at in range(challengers):
            found = ground.outcomes(f"n{at}")
            assert set(found) <= set(OUTCOMES)
            assert sum(found.values()) == reached, found
            assert found.get("paired", 0) == sum(ground.of(f"n{at}").agreement.values())
            assert close is not None or "interrupted" not in found
        assert ground.eligible == reached
        assert ground.arena.free, ground.arena
        assert not +ground.caller.open

    before = pair_module.LARGE
    pair_module.LARGE = data.draw(st.sampled_from([0, before]))
    try:
        run(main())
    finally:
        pair_module.LARGE = before
