"""The demo: models, sample graphs, Envoy and a processor, then the tour.

All that runs is on one stack, and stopped in the other order: when the tour is over, on Ctrl-C, when something fails.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from extproc.admin.access import TOKEN_VARIABLE
from extproc.demo.client import connected
from extproc.demo.samples import moved
from extproc.demo.starting import start_models, start_system
from extproc.demo.tell_json import JsonTeller
from extproc.demo.tell_people import PeopleTeller
from extproc.demo.tour import Senders, Tour
from extproc.demo.traced import TRACED, show_trace
from extproc.demo.welcome import Place, tell_graphs, tell_staying
from extproc.envoy.binary import find_envoy
from extproc.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from extproc.demo.ports import Ports
    from extproc.demo.progress import Progress
    from extproc.graph import Graph

LIBRARIES: Final = {"sklearn": "scikit-learn", "numpy": "numpy"}  # what the models need, and the package that brings it


@dataclass(frozen=True, slots=True)
class Options:
    """What ``extproc demo`` was asked for; ``samples`` is the folder of the sample graphs."""

    once: bool
    ports: Ports
    as_json: bool
    samples: Path


def require() -> None:
    """Looks whether the demo can run here.

    Raises:
        StartError: It cannot; the message says what to install.
    """
    missing = [package for module, package in LIBRARIES.items() if find_spec(module) is None]
    if missing:
        raise StartError(f"the demo needs {' and '.join(missing)}: pip install 'extproc[demo]'")
    find_envoy()


async def demo(options: Options, graphs: Sequence[Graph], console: Console, progress: Progress) -> bool:
    """Runs until the tour is over, or, when it is to stay, until Ctrl-C; was every answer as expected?

    Raises:
        StartError: Something did not start.
        asyncio.CancelledError: Ctrl-C or SIGTERM came before the tour was over.
    """
    _cancel_on_signals()
    began = time.monotonic()
    ports = options.ports.free(progress.note)
    # Labels are told to the admin address; with a token it takes them wherever it is to listen.
    token = os.environ.setdefault(TOKEN_VARIABLE, secrets.token_urlsafe())
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="extproc-")))
        models, scenes = await start_models(stack, progress)
        system, running = await start_system(stack, ports, moved(graphs, models.url), folder, progress)
        place = Place(f"http://{system.ingress}", f"http://{system.admin.address}", models, folder)
        tell_graphs(console, system.plans, scenes, options.samples)
        teller = (
            JsonTeller(place.requests, progress)
            if options.as_json
            else PeopleTeller(place.requests, place.admin, console)
        )
        senders = await _senders(stack, place, token)
        tour = Tour(senders, {plan.graph: plan.id for plan in system.plans}, teller)
        await tour.play(scenes)
        traced = True
        if not options.as_json and system.settings.keep_traces:
            scene = next(scene for scene in scenes if scene.graph == TRACED)
            traced = await show_trace(console, place.admin, scene, folder)
        _tell_result(tour, progress)
        if not options.once:
            tell_staying(console, place, scenes)
            await _signal_or(running)
        with progress.doing("Draining and stopping"):
            await stack.aclose()
    progress.done(f"All stopped, {time.monotonic() - began:.1f} s after the start.")
    return traced and not tour.failures


async def _senders(stack: AsyncExitStack, place: Place, token: str) -> Senders:
    """Clients of all that the tour asks."""
    return Senders(
        graphs=await stack.enter_async_context(connected(place.requests)),
        models=await stack.enter_async_context(connected(place.models.url)),
        admin=await stack.enter_async_context(connected(place.admin, token)),
    )


def _tell_result(tour: Tour, progress: Progress) -> None:
    progress.gap()
    if tour.failures:
        progress.failed(f"Of {tour.requests} requests not all were answered as expected: see WRONG above.")
    else:
        progress.done(f"{tour.requests} requests, each answered as expected.")


def _cancel_on_signals() -> None:
    """Ctrl-C and SIGTERM cancel this task; what it started is stopped on the way out."""
    if task := asyncio.current_task():
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def _signal_or(running: asyncio.Task[None]) -> None:
    """Waits until the user has had enough, or the system cannot go on."""
    try:
        await asyncio.wait({running})
    except asyncio.CancelledError:
        if task := asyncio.current_task():
            task.uncancel()  # no cancellation any more: the way the demo ends
