"""A generation comes into force: workers first, then Envoy's files, until Envoy says that it has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest

from extproc.errors import StartError
from extproc.plan.compile import compile_graph
from extproc.supervisor.workers import Told
from tests.envoy_config import theirs  # noqa: F401 - imports Envoy's types in silence, before the module below does
from tests.envoy_config.configuring import CLUSTERS, EGRESS, INGRESS, LISTENERS, layout
from tests.supervisor.building import duel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Workers:
    """Workers that note what they are told."""

    def __init__(self, heard: list[str]) -> None:
        self.told = Told("unix:/e", [])
        self._heard = heard

    async def load(self, graphs: Sequence[Any]) -> None:
        """Note it."""
        self._heard.append(f"workers {len(graphs)}")


class Envoy:
    """An Envoy that has the files' versions, after some troubles."""

    def __init__(self, folder: Path, heard: list[str]) -> None:
        self.trouble: list[Exception] = []
        self.takes = True
        self._folder = folder
        self._heard = heard

    async def texts(self, _: str) -> dict[str, str]:
        """Say the versions."""
        if self.trouble:
            raise self.trouble.pop(0)
        self._heard.append("envoy")
        files = [json.loads((self._folder / name).read_text()) for name in (INGRESS, EGRESS)]
        return {str(number): one["version_info"] if self.takes else "old" for number, one in enumerate(files)}


class Scene:
    """Generations over these."""

    def __init__(self, folder: Path) -> None:
        from extproc.supervisor.generation import Generations

        self.folder = folder
        self.heard: list[str] = []
        self.envoy = Envoy(folder, self.heard)
        self.generations = Generations(layout(folder), cast("Any", Workers(self.heard)), cast("Any", self.envoy))

    async def load(self, *graphs: Any) -> None:
        """Put graphs in force."""
        await self.generations.load(graphs, [compile_graph(graph) for graph in graphs])

    def times(self) -> dict[str, int]:
        """When each file was written."""
        return {name: (self.folder / name).stat().st_mtime_ns for name in (CLUSTERS, INGRESS, EGRESS, LISTENERS)}


EDITED = duel("timeout: 2\n", "timeout: 3\n")


@pytest.fixture
async def scene(tmp_path: Path):
    """A graph is in force."""
    found = Scene(tmp_path)
    await found.generations.first([compile_graph(duel())])
    return found


async def test_workers_have_it_before_envoy(scene: Scene):
    """A request with a new route never reaches a worker that does not know it."""
    await scene.load(EDITED)
    assert scene.heard == ["workers 1", "envoy"]
    assert EDITED.id in (scene.folder / INGRESS).read_text()


async def test_only_what_changes_is_written(scene: Scene):
    """Clusters stay as they are where models do, and listeners always."""
    before = scene.times()
    await scene.load(EDITED)
    changed = {name for name, at in scene.times().items() if at != before[name]}
    assert INGRESS in changed
    assert not changed & {CLUSTERS, LISTENERS}
    before = scene.times()
    await scene.load(EDITED)
    assert scene.times() == before


async def test_an_envoy_that_is_away(scene: Scene):
    """It is asked until it is back: then it has read the files as they are."""
    scene.envoy.trouble = [aiohttp.ClientConnectionError(), FileNotFoundError(2, "no socket"), TimeoutError()]
    await scene.load(EDITED)
    assert scene.envoy.trouble == []
    assert scene.heard == ["workers 1", "envoy"]


async def test_an_envoy_that_takes_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """Nobody waits for it for ever, and the next generation may be taken again."""
    monkeypatch.setattr("extproc.supervisor.generation.ROUTES_PATIENCE", 0.05)
    scene.envoy.takes = False
    with pytest.raises(StartError, match="Envoy did not take its new routes within 0 s"):
        await scene.load(EDITED)
    scene.envoy.takes = True
    await scene.load(duel())
    assert duel().id in (scene.folder / INGRESS).read_text()


async def test_a_disk_that_fails(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """It is told, as what stands in the way of the generation; the next one writes all that this one did not."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    from extproc.envoy.files import write

    def half(folder: Path, files: dict[str, str]) -> None:
        write(folder, {INGRESS: files[INGRESS]})
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("extproc.supervisor.generation.write", half)
        with pytest.raises(StartError, match="No space left"):
            await scene.load(EDITED)
    assert EDITED.id in (scene.folder / INGRESS).read_text()
    await scene.load(duel())
    assert duel().id in (scene.folder / INGRESS).read_text()
    with monkeypatch.context() as broken:
        broken.setattr("extproc.supervisor.generation.write", full)
        with pytest.raises(StartError, match=r"cannot be written to .*: No space left on device"):
            await scene.load(EDITED)
    assert EDITED.id not in (scene.folder / INGRESS).read_text()
    await scene.load(EDITED)
    assert EDITED.id in (scene.folder / INGRESS).read_text()
