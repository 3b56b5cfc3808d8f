"""The demo: models, sample graphs, Envoy and processors, then the tour.

Everything that runs is a context left in the other order, whether the tour is over, Ctrl-C came, or something failed.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from extproc.demo.client import connected
from extproc.demo.model_process import model_server
from extproc.demo.ports import is_free
from extproc.demo.samples import moved
from extproc.demo.tell_json import JsonTeller
from extproc.demo.tell_people import PeopleTeller
from extproc.demo.tour import Tour
from extproc.demo.welcome import Place, tell_graphs, tell_staying
from extproc.envoy.binary import find_envoy
from extproc.errors import StartError
from extproc.plan.compile import compile_graph

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rich.console import Console

    from extproc.demo.model_process import ModelServer
    from extproc.demo.progress import Progress
    from extproc.demo.scene import Scene
    from extproc.demo.tour import Teller
    from extproc.graph import Graph
    from extproc.supervisor.system import Settings, System

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Options:
    """What ``extproc demo`` was asked for; port 0 is a free one."""

    once: bool
    port: int
    admin_host: str
    admin_port: int
    as_json: bool
    folder: Path  # of the sample graphs


def require() -> None:
    """Raises StartError, saying what to install, when the demo cannot run here."""
    missing = [package for module, package in _NEEDED if find_spec(module) is None]
    if missing:
        raise StartError(f"the demo needs {' and '.join(missing)}: pip install 'extproc[demo]'")
    find_envoy()


_NEEDED: Final = (("sklearn", "scikit-learn"), ("numpy", "numpy"))


async def demo(options: Options, graphs: Sequence[Graph], console: Console, progress: Progress) -> bool:
    """Runs until the tour is over, or, when it is to stay, until Ctrl-C; was everything as expected?

    Raises:
        StartError: Something did not start.
        asyncio.CancelledError: Ctrl-C or SIGTERM came before the tour was over.
    """
    _cancel_on_signals()
    began = time.monotonic()
    port = _port(HOST, options.port, progress)
    admin_port = _port(options.admin_host, options.admin_port, progress)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="extproc-")))
        models, scenes = await _models(stack, progress)
        settings = Settings(HOST, port, options.admin_host, admin_port, workers=1, folder=folder)
        system = await _system(stack, settings, moved(graphs, models.url), progress)
        place = Place(f"http://{system.ingress}", f"http://{system.admin.address}", models, folder)
        tell_graphs(console, system.plans, scenes, options.folder)
        teller = JsonTeller(place.requests, progress) if options.as_json else PeopleTeller(place.requests, console)
        well = await _tour(place, system, scenes, teller, progress)
        if not options.once:
            tell_staying(console, place, scenes)
            await _interrupted()
        with progress.doing("Draining and stopping"):
            await stack.aclose()
    progress.done(f"All stopped, {time.monotonic() - began:.1f} s after the start.")
    return well


async def _models(stack: AsyncExitStack, progress: Progress) -> tuple[ModelServer, tuple[Scene, ...]]:
    """The model server, and the scenes; while it trains, what takes long to import is imported."""
    began = time.monotonic()
    with progress.doing("Training the models"):
        loading = asyncio.create_task(asyncio.to_thread(_scenes))
        models = await stack.enter_async_context(model_server())
        scenes = await loading
    progress.done(f"Models    {models.url}, ready in {time.monotonic() - began:.1f} s; process {models.pid}")
    return models, scenes


def _scenes() -> tuple[Scene, ...]:
    """Builds the scenes; scikit-learn and, for later, envoy-data-plane take a second or two each."""
    import extproc.supervisor.system  # noqa: F401 -- for later
    from extproc.demo.scenes import scenes

    return scenes()


def _port(host: str, wanted: int, progress: Progress) -> int:
    if is_free(host, wanted):
        return wanted
    progress.note(f"Port {wanted} is taken, so another one is used.")
    return 0


async def _system(stack: AsyncExitStack, settings: Settings, graphs: Sequence[Graph], progress: Progress) -> System:
    """Envoy and a worker, ready; they drain and stop with the stack."""
    from extproc.supervisor.system import System

    began = time.monotonic()
    with progress.doing("Starting Envoy and a processor"):
        system = System(settings, graphs, [compile_graph(graph) for graph in graphs])
        await stack.enter_async_context(serving(system))
    took = time.monotonic() - began
    progress.done(f"Envoy     http://{system.ingress}, ready in {took:.1f} s; process {system.envoy.pid}")
    progress.done(f"Admin     http://{system.admin.address}")
    return system


@asynccontextmanager
async def serving(system: System) -> AsyncIterator[None]:
    """Runs a system while the block does, from when it is ready until it has drained and stopped.

    Raises:
        StartError: It did not become ready.
    """
    started, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(system.run(started, stop))
    ready = asyncio.create_task(started.wait())
    try:
        await asyncio.wait({ready, running}, return_when=asyncio.FIRST_COMPLETED)
        if started.is_set():
            yield
    finally:
        ready.cancel()
        stop.set() if started.is_set() else running.cancel()
        await running


async def _tour(place: Place, system: System, scenes: Sequence[Scene], teller: Teller, progress: Progress) -> bool:
    began = time.monotonic()
    async with connected(place.requests) as client:
        tour = Tour(client, {plan.graph: plan.id for plan in system.plans}, teller)
        await tour.play(scenes)
    progress.gap()
    if tour.failures:
        progress.failed(f"{tour.failures} of {tour.requests} requests were answered otherwise than expected.")
    else:
        progress.done(f"{tour.requests} requests in {time.monotonic() - began:.1f} s, each answered as expected.")
    return not tour.failures


def _cancel_on_signals() -> None:
    """Ctrl-C and SIGTERM cancel this task; what it started is ended on the way out."""
    if task := asyncio.current_task():
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def _interrupted() -> None:
    """Waits for the signal, which now means: well, that is all."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if task := asyncio.current_task():
            task.uncancel()
