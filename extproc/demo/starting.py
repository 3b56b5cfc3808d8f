"""Starting what the demo runs; each thing is stopped when the stack it was put on is left."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from extproc.commands.tracing import told_tracing
from extproc.demo.model_process import model_server
from extproc.plan.compile import compile_graph

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AsyncExitStack
    from pathlib import Path

    from extproc.demo.model_process import ModelServer
    from extproc.demo.ports import Ports
    from extproc.demo.progress import Progress
    from extproc.demo.scene import Scene
    from extproc.graph import Graph
    from extproc.supervisor.system import System


async def start_models(stack: AsyncExitStack, progress: Progress) -> tuple[ModelServer, tuple[Scene, ...]]:
    """The model server, and the scenes; while it trains, what takes long to import is imported.

    Raises:
        StartError: It did not start.
    """
    began = time.monotonic()
    with progress.doing("Training the models"):
        loading = asyncio.create_task(asyncio.to_thread(_scenes))
        models = await stack.enter_async_context(model_server())
        scenes = await loading
    progress.done(f"Models    {models.url}, ready in {time.monotonic() - began:.1f} s; process {models.pid}")
    return models, scenes


def _scenes() -> tuple[Scene, ...]:
    """Builds the scenes; scikit-learn and, needed soon, envoy-data-plane and SQLAlchemy take a second or two each."""
    import extproc.supervisor.challenges
    import extproc.supervisor.system  # noqa: F401 -- see above
    from extproc.demo.scenes import scenes

    return scenes()


async def start_system(
    stack: AsyncExitStack, ports: Ports, graphs: Sequence[Graph], folder: Path, progress: Progress
) -> tuple[System, asyncio.Task[None]]:
    """Envoy and a worker, ready, and the task that runs them: it ends early only when they cannot go on.

    Raises:
        StartError: They did not become ready.
    """
    from extproc.supervisor.system import Settings, System

    began = time.monotonic()
    with progress.doing("Starting Envoy and a processor"):
        said = told_tracing()
        settings = Settings(
            ports.host,
            ports.port,
            ports.admin_host,
            ports.admin_port,
            workers=1,
            folder=folder,
            tracing=said,
            keep_traces=said is None,
        )
        system = System(settings, graphs, [compile_graph(graph) for graph in graphs])
        running = await stack.enter_async_context(_serving(system))
    took = time.monotonic() - began
    progress.done(f"Envoy     http://{system.ingress}, ready in {took:.1f} s; process {system.envoy.pid}")
    progress.done(f"Admin     http://{system.admin.address}")
    return system, running


@asynccontextmanager
async def _serving(system: System) -> AsyncIterator[asyncio.Task[None]]:
    """Runs a system while the block does: the block begins when it is ready, and then it drains and stops."""
    started, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(system.run(started, stop))
    ready = asyncio.create_task(started.wait())
    try:
        await asyncio.wait({ready, running}, return_when=asyncio.FIRST_COMPLETED)
        if started.is_set():
            yield running
    finally:
        ready.cancel()
        if started.is_set():
            stop.set()
        else:
            running.cancel()
        await running
