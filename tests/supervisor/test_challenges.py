"""Reports, promotions and rollbacks over a real store; what puts graphs in force is a list."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from extproc.admin.challenges import NotThere, Refused
from extproc.challenge.evidence import PAIRED, Evidence
from extproc.challenge.store.failure import StoreError
from extproc.challenge.store.feedback import Feedback
from extproc.errors import StartError
from extproc.graph.challenged import challenge_key
from extproc.supervisor import watch as watch_module
from extproc.supervisor.challenges import Challenges, Changes
from extproc.supervisor.promotions import Promotions
from tests.challenge.store.building import record, window
from tests.plan.building import graph
from tests.supervisor.building import AWAY, WAIT, duel, opened, raw_node

if TYPE_CHECKING:
    from pathlib import Path

    from extproc.graph import Graph

PLAIN = graph("models: {a: {url: 'http://a'}}\nnodes: {root: {split: {routes: [{to: a, weight: 1}]}}}", name="plain")


class Scene:
    """Challenges over a store, and the graphs that were put in force."""

    def __init__(self, folder: Path, book, store, *graphs, ours: bool = True) -> None:
        self.book, self.store = book, store
        self.promotions = Promotions(folder)
        self.graphs = self.promotions.applied(graphs)
        self.loaded: list[Graph] = []
        self.trouble: list[BaseException] = []
        self.challenges = Challenges(book, self.graphs, Changes(self.promotions, self.load) if ours else None)

    async def load(self, changed) -> None:
        """Put a graph in force, or raise what stands in the way."""
        self.loaded.append(changed)
        if self.trouble:
            raise self.trouble.pop(0)

    async def saw(self, found, paired: int, *records, failed: int = 0, segment: str = "") -> None:
        """Book requests that both challengers saw."""
        outcomes = {PAIRED: paired, "failed": failed}
        evidence = {name: {segment: Evidence(outcomes=dict(outcomes))} for name in ("gbm", "mlp", "v1")}
        told = window(0, paired + failed, *records, challenge=challenge_key(found), evidence=evidence)
        self.book.took(f"life-{found.id}-{segment}", [told])
        await self.book.settled(WAIT)


@pytest.fixture
async def scene(tmp_path: Path):
    """A graph with a challenge, and one without."""
    async with opened(tmp_path) as (book, store):
        yield Scene(tmp_path, book, store, duel(), PLAIN)


def events(report) -> list[Any]:
    """The decisions of a report."""
    return [(one["event"], one["challenger"], one["forced"]) for one in report["decisions"]]


async def test_a_report(scene: Scene):
    """It is of this moment, of the generation in force, and its counts add up."""
    await scene.saw(duel(), 5)
    report = await scene.challenges.report("fraud")
    assert (report["graph"], report["generation"], report["champion"]) == ("fraud", duel().id, "v1")
    assert report["eligible"] == 5
    assert [sum(one["counts"].values()) for one in report["challengers"]] == [5, 5]
    await scene.saw(duel(), 2, segment="more")
    assert (await scene.challenges.report("fraud"))["eligible"] == 7


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nobody", "no graph named nobody is loaded; loaded are fraud, plain"),
        ("plain", "the graph plain holds no challenge"),
    ],
)
async def test_nothing_to_report(scene: Scene, name: str, why: str):
    """A graph that is not there, or holds no challenge, is told by whatever is asked of it."""
    for asked in (
        scene.challenges.report(name),
        scene.challenges.promote(name, "gbm", force=True),
        scene.challenges.roll_back(name),
    ):
        with pytest.raises(NotThere) as told:
            await asked
        assert str(told.value) == why


async def test_a_promotion(scene: Scene):
    """With the verdict promote the exchanged graph is put in force and kept, and both challenges have the decision."""
    await scene.saw(duel(), 400)
    done = await scene.challenges.promote("fraud", "gbm", force=False)
    (changed,) = scene.loaded
    assert raw_node(changed)["champion"] == "v2"
    assert done.items() >= {
        ("graph", "fraud"),
        ("generation", changed.id),
        ("champion", "v2"),
        ("challenger", "gbm"),
        ("event", "promoted"),
        ("forced", False),
    }
    assert scene.promotions.current("fraud") == changed
    now = await scene.challenges.report("fraud")
    assert (now["generation"], now["champion"], now["eligible"]) == (changed.id, "v2", 0)
    assert events(now) == [("promoted", "gbm", False)]
    await scene.challenges.roll_back("fraud")
    before = await scene.challenges.report("fraud")
    assert (before["generation"], before["eligible"]) == (duel().id, 400)
    assert events(before)[-2:] == [("promoted", "gbm", False), ("rolled back", "gbm", False)]
    assert [one.id for one in scene.loaded] == [changed.id, duel().id]
    with pytest.raises(Refused, match=r"^fraud has no promotion to roll back$"):
        await scene.challenges.roll_back("fraud")


async def test_a_promotion_is_refused_with_the_verdict(scene: Scene):
    """Without evidence nothing changes, and what is missing is named; ``force`` overrides it, and is recorded."""
    with pytest.raises(Refused) as told:
        await scene.challenges.promote("fraud", "gbm", force=False)
    assert str(told.value) == (
        "gbm is not promoted: its verdict is collecting (errors is collecting); --force overrides, and is recorded"
    )
    assert scene.loaded == []
    assert scene.promotions.last("fraud") is None
    done = await scene.challenges.promote("fraud", "gbm", force=True)
    assert done["forced"] is True
    assert events(await scene.challenges.report("fraud")) == [("promoted", "gbm", True)]
    last = scene.promotions.last("fraud")
    assert last is not None
    assert last.forced


async def test_force_that_was_not_needed_is_not_recorded(scene: Scene):
    """``forced`` says that the verdict was against it, not what was typed."""
    await scene.saw(duel(), 400)
    assert (await scene.challenges.promote("fraud", "gbm", force=True))["forced"] is False


async def test_a_challenger_that_fails_is_refused(scene: Scene):
    """A verdict of reject is named with the guardrail that failed."""
    await scene.saw(duel(), 10, failed=390)
    with pytest.raises(Refused, match=r"its verdict is reject \(errors is fail\)"):
        await scene.challenges.promote("fraud", "gbm", force=False)


async def test_without_guardrails_there_is_no_verdict(tmp_path: Path):
    """Nothing promotes it but ``force``, and the refusal says why."""
    bare = duel("      guardrails: {errors: {max: 0.5}}\n", "")
    async with opened(tmp_path) as (book, store):
        scene = Scene(tmp_path, book, store, bare)
        await scene.saw(bare, 4000)
        with pytest.raises(Refused, match=r"collecting \(the graph has no guardrails\)"):
            await scene.challenges.promote("fraud", "gbm", force=False)


async def test_an_unknown_challenger(scene: Scene):
    """It is told with the names there are, after a promotion with those of then, and force does not help."""
    with pytest.raises(NotThere, match=r"^fraud has no challenger nobody; it has gbm, mlp$"):
        await scene.challenges.promote("fraud", "nobody", force=True)
    await scene.challenges.promote("fraud", "gbm", force=True)
    with pytest.raises(NotThere, match=r"^fraud has no challenger gbm; it has v1, mlp$"):
        await scene.challenges.promote("fraud", "gbm", force=True)


async def test_a_graph_that_forbids_it(tmp_path: Path):
    """Where the loader would refuse the promoted graph, so is the promotion, forced or not."""
    away = duel("timeout: 2\n", "timeout: 2\nwhenAway: open\n")
    async with opened(tmp_path) as (book, store):
        scene = Scene(tmp_path, book, store, away)
        with pytest.raises(Refused, match=r"mlp cannot be the champion of fraud: spec\.whenAway: open, but no model"):
            await scene.challenges.promote("fraud", "mlp", force=True)
        assert scene.loaded == []


@pytest.mark.parametrize("trouble", [StartError("Envoy did not take its new routes"), OSError(28, "No space left")])
async def test_what_does_not_get_into_force_leaves_everything(scene: Scene, trouble: Exception):
    """A generation that fails is taken back: in the folder, in what is reported, and in what is in force."""
    scene.trouble = [trouble]
    with pytest.raises(type(trouble)):
        await scene.challenges.promote("fraud", "gbm", force=True)
    assert [raw_node(one)["champion"] for one in scene.loaded] == ["v2", "v1"]
    assert scene.promotions.last("fraud") is None
    report = await scene.challenges.report("fraud")
    assert (report["generation"], events(report)) == (duel().id, [])
    assert (await scene.challenges.promote("fraud", "gbm", force=True))["champion"] == "v2"


async def test_a_rollback_that_does_not_get_into_force(scene: Scene):
    """The promotion stays then, and can be rolled back later."""
    await scene.challenges.promote("fraud", "gbm", force=True)
    scene.trouble = [StartError("no"), StartError("no again")]
    with pytest.raises(StartError, match=r"^no$"):
        await scene.challenges.roll_back("fraud")
    last = scene.promotions.last("fraud")
    assert last is not None
    assert last.challenger == "gbm"
    assert (await scene.challenges.report("fraud"))["champion"] == "v2"
    assert (await scene.challenges.roll_back("fraud"))["champion"] == "v1"


async def test_a_promotion_at_the_end(scene: Scene):
    """One that is cancelled because the process ends is not there at the next start."""
    scene.trouble = [asyncio.CancelledError()]
    with pytest.raises(asyncio.CancelledError):
        await scene.challenges.promote("fraud", "gbm", force=True)
    assert scene.promotions.last("fraud") is None
    assert len(scene.loaded) == 1


async def test_one_change_at_a_time(scene: Scene):
    """Of two promotions at once the second sees what the first has done."""
    both = [scene.challenges.promote("fraud", name, force=True) for name in ("gbm", "gbm")]
    first, second = await asyncio.gather(*both, return_exceptions=True)
    assert isinstance(first, dict)
    assert isinstance(second, NotThere)


async def test_while_the_store_is_away(scene: Scene, caplog: pytest.LogCaptureFixture):
    """Who is to be promoted on no evidence is not; a rollback is done all the same, and the log says it is not noted."""
    await scene.challenges.promote("fraud", "gbm", force=True)
    scene.store.failure = AWAY
    for asked in (
        scene.challenges.report("fraud"),
        scene.challenges.promote("fraud", "mlp", force=False),
        scene.challenges.feedback([Feedback("r1", 1)]),
    ):
        with pytest.raises(StoreError, match="connection refused"):
            await asked
    assert (await scene.challenges.roll_back("fraud"))["champion"] == "v1"
    assert caplog.messages[-1] == f"{AWAY}; that gbm was rolled back is in force and not noted"


async def test_somebody_elses_routes(tmp_path: Path):
    """Where champions cannot be changed that is what is said, whatever the verdict, and nothing is kept."""
    async with opened(tmp_path) as (book, store):
        scene = Scene(tmp_path, book, store, duel(), ours=False)
        for asked in (
            scene.challenges.promote("fraud", "gbm", force=False),
            scene.challenges.promote("fraud", "gbm", force=True),
            scene.challenges.promote("fraud", "nobody", force=True),
            scene.challenges.roll_back("fraud"),
        ):
            with pytest.raises(Refused, match="the routes of fraud are in an Envoy that somebody else runs"):
                await asked
        assert not (tmp_path / "promotions.json").exists()
        assert (await scene.challenges.report("fraud"))["champion"] == "v1"


async def test_feedback(scene: Scene):
    """It is kept when it is answered, and joins what was booked before or comes later."""
    await scene.saw(duel(), 1, record("known"))
    taken = await scene.challenges.feedback([Feedback("known", 1), Feedback("later", 2), Feedback("known", 3)])
    assert (taken.accepted, taken.duplicate, taken.unknown) == (1, 1, 1)
    report = await scene.challenges.report("fraud")
    truth = report["challengers"][0]["truth"]
    assert (truth["joined"], truth["waiting"]) == (1, 1)


async def test_a_look(scene: Scene):
    """The latest reports are of all challenges as wholes, without segments, and forget a graph that was promoted."""
    await scene.saw(duel(), 400, segment="at")
    await scene.saw(duel(), 3, segment="de")
    (report,) = await scene.challenges.latest()
    assert report["eligible"] == 403
    gbm, _ = report["challengers"]
    assert (gbm["verdict"], gbm["counts"]["paired"], gbm["segments"]) == ("promote", 403, [])
    assert [one["segment"] for one in (await scene.challenges.report("fraud"))["challengers"][0]["segments"]] == [
        "at",
        "de",
    ]
    await scene.challenges.promote("fraud", "gbm", force=False)
    (after,) = await _fresh(scene)
    assert (after["eligible"], after["champion"]) == (0, "v2")


async def test_who_asks_looks(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """What is shown is looked at when it is asked for, unless that was done just now: nobody waits for the next second."""
    await scene.saw(duel(), 1)
    assert (await _fresh(scene))[0]["eligible"] == 1
    await scene.saw(duel(), 2, segment="more")
    monkeypatch.setattr(watch_module, "FRESH", WAIT)
    assert [one["eligible"] for one in await scene.challenges.latest()] == [1]
    monkeypatch.setattr(watch_module, "FRESH", 0.0)
    assert [one["eligible"] for one in await scene.challenges.latest()] == [3]


async def test_a_verdict_that_changes_is_noted_once(scene: Scene):
    """However often one looks: the figures it stood on are kept with it, and a verdict that goes back is noted, too."""
    for _ in range(2):
        await _fresh(scene)
    assert events(await scene.challenges.report("fraud")) == []
    await scene.saw(duel(), 400)
    for _ in range(3):
        await _fresh(scene)
    await scene.saw(duel(), 0, failed=5000, segment="more")
    for _ in range(2):
        await _fresh(scene)
    report = await scene.challenges.report("fraud")
    noted = [(one["event"], one["challenger"], one["verdict"]) for one in report["decisions"]]
    assert sorted(noted, key=lambda one: one[1]) == [
        ("verdict", "gbm", "promote"),
        ("verdict", "gbm", "reject"),
        ("verdict", "mlp", "promote"),
        ("verdict", "mlp", "reject"),
    ]
    first = report["decisions"][0]
    assert first["rule"] == {"confidence": 0.95, "errors": {"max": 0.5}}
    assert first["figures"]["guardrails"]["errors"]["samples"] == 400
    assert first["figures"]["counts"]["paired"] == 400


async def test_the_course_of_figures_is_kept(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """A point is kept when something came since the last one, and not more often than it is worth."""
    await scene.saw(duel(), 10)
    for _ in range(3):
        await _fresh(scene)
    await scene.saw(duel(), 20, segment="soon after")
    await _fresh(scene)
    assert await _samples(scene) == [10]
    monkeypatch.setattr(watch_module, "POINT_EVERY", 0.0)
    await scene.saw(duel(), 30, segment="later")
    await _fresh(scene)
    assert await _samples(scene) == [10, 60]


async def test_nothing_new_is_not_computed_again(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """A challenge that nobody asks anything of costs a look into the store a second."""
    await scene.saw(duel(), 10)
    for _ in range(3):
        await _fresh(scene)
    monkeypatch.setattr(watch_module, "report", None)
    (report,) = await _fresh(scene)
    assert report["eligible"] == 10


async def test_a_report_that_fails_ends_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """It is told once, with its trace; other looks go on, and it is shown again when it can be."""
    await scene.saw(duel(), 10)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug in a figure")

    monkeypatch.setattr(watch_module, "LOOK_EVERY", 0.0)
    with monkeypatch.context() as while_broken:
        while_broken.setattr(watch_module, "report", broken)
        running = asyncio.create_task(scene.challenges.run())
        for _ in range(3):
            assert await _fresh(scene) == []
        assert not running.done()
    assert len(await _fresh(scene)) == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    (told,) = (one for one in caplog.records if one.levelno == logging.ERROR)
    assert told.getMessage() == "graph fraud: its challenge cannot be looked at; it goes on"
    assert "a bug in a figure" in caplog.text


async def test_what_is_shown_while_the_store_hangs(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """Who asks for what is latest does not wait for it: what was known before is shown; away, nothing is."""
    await scene.saw(duel(), 10)
    assert len(await _fresh(scene)) == 1
    monkeypatch.setattr(watch_module, "FRESH_PATIENCE", 0.05)
    gate = scene.store.gate = threading.Event()
    try:
        (report,) = await _fresh(scene)
        assert report["eligible"] == 10
    finally:
        scene.store.gate = None
        gate.set()
    scene.store.failure = AWAY
    monkeypatch.setattr(watch_module, "FRESH_PATIENCE", WAIT)
    assert await _fresh(scene) == []
    scene.store.failure = None
    assert len(await _fresh(scene)) == 1


async def _fresh(scene: Scene) -> list[Any]:
    """The latest reports, looked at anew."""
    scene.challenges._watch._looked = 0.0
    return list(await scene.challenges.latest())


async def _samples(scene: Scene) -> list[int]:
    """How many pairs each kept point of the first challenger stands on."""
    key = challenge_key(scene.graphs[0])
    found = await scene.book.call(scene.store.read, key)
    return [one.figures["samples"] for one in found.points.get("gbm", [])]
