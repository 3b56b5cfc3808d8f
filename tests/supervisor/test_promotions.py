"""Promotions are kept in the state folder, and hold while the file's challenge node stays as it is."""

import logging
import os
from pathlib import Path

import pytest

from extproc.errors import GraphError, StartError
from extproc.supervisor.promotions import MOST_STEPS, Promotions, node_digest
from tests.supervisor.building import duel, raw_node

NOON = 1_750_000_000.0


def applied(folder: Path, *graphs):
    """The promotions of a folder, applied to graphs, and these."""
    promotions = Promotions(folder)
    return promotions, promotions.applied(graphs or [duel()])


def test_none(tmp_path: Path):
    """Without promotions graphs are what their files say, and nothing is written."""
    promotions, (graph,) = applied(tmp_path)
    assert graph == duel()
    assert (promotions.last("fraud"), promotions.roll_back("fraud")) == (None, None)
    assert list(tmp_path.iterdir()) == []


def test_a_promotion_is_applied_at_the_next_start(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The next supervisor has the same graph in force, says so, and leaves the file's other graphs alone."""
    promotions, _ = applied(tmp_path)
    changed = promotions.promote("fraud", "gbm", NOON, forced=True)
    assert raw_node(changed)["champion"] == "v2"
    assert [one["name"] for one in raw_node(changed)["challengers"]] == ["v1", "mlp"]
    caplog.clear()
    again, (graph, other) = applied(tmp_path, duel(), duel(name="other"))
    assert (graph, other) == (changed, duel(name="other"))
    assert caplog.messages == ["graph fraud: the promotion of gbm is in effect"]
    last = again.last("fraud")
    assert last is not None
    assert (last.challenger, last.at, last.forced) == ("gbm", NOON, True)


def test_an_edited_node_wins(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A promotion of a challenge that was edited since is forgotten, for good, and the log says so."""
    promotions, _ = applied(tmp_path)
    promotions.promote("fraud", "gbm", NOON, forced=False)
    caplog.clear()
    _, (graph,) = applied(tmp_path, duel("sample: 0.25", "sample: 0.5"))
    assert graph == duel("sample: 0.25", "sample: 0.5")
    assert caplog.record_tuples == [
        (
            "extproc.supervisor.promotions",
            logging.WARNING,
            "graph fraud: its challenge was edited, so the promotion of gbm is no longer in effect",
        )
    ]
    assert applied(tmp_path)[1] == [duel()]


@pytest.mark.parametrize(
    ("old", "new"),
    [("timeout: 2\n", "timeout: 3\n"), ('"http://v1/m"', '"http://elsewhere/m"'), ("timeout: 0.3", "timeout: 0.4")],
)
def test_other_edits_keep_it(tmp_path: Path, old: str, new: str):
    """What is edited around the node is in the promoted graph too."""
    promotions, _ = applied(tmp_path)
    promotions.promote("fraud", "gbm", NOON, forced=False)
    _, (graph,) = applied(tmp_path, duel(old, new))
    assert raw_node(graph)["champion"] == "v2"
    assert graph.raw["spec"]["models"] == duel(old, new).raw["spec"]["models"]
    assert graph.document.spec.timeout == duel(old, new).document.spec.timeout


def test_an_edit_that_forbids_it_wins(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """``whenAway: open`` needs a champion that is a model: added later it ends the promotion of a chain, and says why."""
    promotions, _ = applied(tmp_path)
    promotions.promote("fraud", "mlp", NOON, forced=False)
    caplog.clear()
    opened = duel("timeout: 2\n", "timeout: 2\nwhenAway: open\n")
    assert applied(tmp_path, opened)[1] == [opened]
    assert "what was edited does not go with it (spec.whenAway: open, but no model" in caplog.text


def test_a_promotion_that_breaks_a_rule_is_refused(tmp_path: Path):
    """Where the loader would refuse the graph that it makes, nothing is changed."""
    promotions, _ = applied(tmp_path, duel("timeout: 2\n", "timeout: 2\nwhenAway: open\n"))
    with pytest.raises(GraphError, match=r"spec\.whenAway: open, but no model can take everything"):
        promotions.promote("fraud", "mlp", NOON, forced=True)
    assert promotions.last("fraud") is None
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_challenger(tmp_path: Path):
    """A challenger that is not there is told with those that are."""
    promotions, _ = applied(tmp_path)
    with pytest.raises(GraphError, match="fraud has no challenger nobody; it has gbm, mlp"):
        promotions.promote("fraud", "nobody", NOON, forced=False)


def test_they_stack(tmp_path: Path):
    """Each rollback undoes one promotion, also after a restart, down to the file."""
    promotions, (original,) = applied(tmp_path)
    first = promotions.promote("fraud", "gbm", NOON, forced=False)
    second = promotions.promote("fraud", "mlp", NOON + 1, forced=False)
    assert raw_node(second)["champion"] == raw_node(original)["challengers"][1]["to"]
    again, (graph,) = applied(tmp_path)
    assert graph == second
    assert again.roll_back("fraud") == first
    assert applied(tmp_path)[1] == [first]
    assert again.roll_back("fraud") == original
    assert again.roll_back("fraud") is None
    assert applied(tmp_path)[1] == [original]


def test_the_oldest_give_way(tmp_path: Path):
    """As many promotions as can be rolled back are kept, the newest; each is a whole challenge."""
    promotions, _ = applied(tmp_path)
    names = ["gbm", *("v1", "v2") * MOST_STEPS]
    graphs = [promotions.promote("fraud", name, NOON, forced=False) for name in names[: MOST_STEPS + 5]]
    undone = [promotions.roll_back("fraud") for _ in range(MOST_STEPS)]
    assert undone == [*reversed(graphs[5:-1]), duel()]
    assert promotions.roll_back("fraud") is None


def test_restored(tmp_path: Path):
    """What did not get into force is taken back, in the file too."""
    promotions, (original,) = applied(tmp_path)
    kept = promotions.kept
    promotions.promote("fraud", "gbm", NOON, forced=False)
    promotions.restore(kept)
    assert promotions.current("fraud") == original
    assert applied(tmp_path)[1] == [original]


def test_restored_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A disk that fails meanwhile does not keep the promotion in force here."""
    promotions, (original,) = applied(tmp_path)
    kept = promotions.kept
    promotions.promote("fraud", "gbm", NOON, forced=False)
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(StartError, match="cannot be written: No space left"):
        promotions.restore(kept)
    assert promotions.current("fraud") == original


def test_what_cannot_be_written_is_not_promoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A promotion that a restart would lose is refused, and nothing has changed."""
    promotions, (original,) = applied(tmp_path)
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(StartError, match=r"promotions\.json cannot be written: No space left on device"):
        promotions.promote("fraud", "gbm", NOON, forced=False)
    monkeypatch.undo()
    assert promotions.current("fraud") == original
    assert applied(tmp_path)[1] == [original]


def test_a_graph_that_is_not_loaded_keeps_its_promotions(tmp_path: Path):
    """A start without a graph's file does not forget who was promoted there."""
    promotions, _ = applied(tmp_path, duel(), duel(name="other"))
    changed = promotions.promote("fraud", "gbm", NOON, forced=False)
    others, _ = applied(tmp_path, duel(name="other"))
    others.promote("other", "gbm", NOON, forced=False)
    assert applied(tmp_path)[1] == [changed]


def test_a_graph_without_its_challenge(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A challenge that was removed from the file is edited, too."""
    promotions, _ = applied(tmp_path)
    promotions.promote("fraud", "gbm", NOON, forced=False)
    caplog.clear()
    start, end = "challenge:", "guardrails: {errors: {max: 0.5}}\n"
    text = duel.__globals__["DUEL"]
    removed = duel(text[text.index(start) :], "split: {routes: [{to: v1, weight: 1}]}\n")
    assert end in text
    assert node_digest(removed) != node_digest(duel())
    assert applied(tmp_path, removed)[1] == [removed]
    assert "was edited" in caplog.text


def test_a_broken_file(tmp_path: Path):
    """A file that is damaged ends the start, and says which file, and what to do."""
    (tmp_path / "promotions.json").write_text('{"graphs": {"fraud": {"node": 7}}}')
    with pytest.raises(StartError, match=r"promotions\.json cannot be read: .*; move it away to start without it$"):
        Promotions(tmp_path)


def _full(_: int) -> None:
    raise OSError(28, "No space left on device")
