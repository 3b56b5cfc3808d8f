"""Putting graphs in force while requests run: workers first, then Envoy's clusters and routes; never a listener.

A request keeps the routes it came in with and the plan these name: workers keep the generation before.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from extproc.envoy.admin import AWAY, ROUTES_VERSIONS
from extproc.envoy.build import Builder
from extproc.envoy.files import write
from extproc.envoy.listener import EGRESS_ROUTES_FILE, INGRESS_ROUTES_FILE
from extproc.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extproc.envoy.admin import EnvoyAdmin
    from extproc.envoy.layout import Layout
    from extproc.graph import Graph
    from extproc.plan.plan import Plan
    from extproc.supervisor.workers import Workers

ROUTES_PATIENCE = 5.0  # Envoy takes a file within milliseconds; a loaded machine may need longer
POLL = 0.005


class Generations:
    """The generation in force, and how the next one comes into it; ``files`` is what Envoy was told."""

    def __init__(self, layout: Layout, workers: Workers, envoy: EnvoyAdmin) -> None:
        self._layout = layout
        self._builder = Builder(layout)
        self._workers = workers
        self._envoy = envoy
        self._files: dict[str, str] = {}

    def __repr__(self) -> str:
        """Say the generation."""
        return f"<Generations {self._workers.told.generation}>"

    async def first(self, plans: Sequence[Plan]) -> None:
        """Write what Envoy starts with."""
        self._files = await asyncio.to_thread(self._builder.everything, plans)
        write(self._layout.folder, self._files)

    async def load(self, graphs: Sequence[Graph], plans: Sequence[Plan]) -> None:
        """Return when every worker and Envoy have these graphs. Raises StartError where Envoy does not take them."""
        files = await asyncio.to_thread(self._builder.of_graphs, plans)
        await self._workers.load([graph.raw for graph in graphs])
        await self._tell_envoy(files)

    async def _tell_envoy(self, files: Mapping[str, str]) -> None:
        changed = {name: text for name, text in files.items() if self._files.get(name) != text}
        for name in changed:
            self._files.pop(name, None)  # should only some of them be written, the next generation writes all
        try:
            write(self._layout.folder, changed)
        except OSError as error:
            raise StartError(
                f"Envoy's new routes cannot be written to {self._layout.folder}: {error.strerror}"
            ) from None
        self._files |= changed
        await self._taken({name: _version(files[name]) for name in (INGRESS_ROUTES_FILE, EGRESS_ROUTES_FILE)})

    async def _taken(self, wanted: Mapping[str, str]) -> None:
        """Return when Envoy has these versions of its routes."""
        try:
            async with asyncio.timeout(ROUTES_PATIENCE):
                while set(wanted.values()) - await self._versions():
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise StartError(f"Envoy did not take its new routes within {ROUTES_PATIENCE:.0f} s") from None

    async def _versions(self) -> set[str]:
        """Return what Envoy says it has; nothing while it is away: when it is back it reads the files as they are."""
        try:
            return set((await self._envoy.texts(ROUTES_VERSIONS)).values())
        except AWAY:
            return set()


def _version(text: str) -> str:
    version: str = json.loads(text)["version_info"]
    return version
