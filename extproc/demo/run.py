"""The demo: models, sample graphs, Envoy and processors, then the tour.

Everything that runs is a context left in the other order, whether the tour is over, Ctrl-C came, or something failed.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from contextlib import asynccontextmanager
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
from extproc.demo.tour import Teller, Tour
from extproc.demo.welcome import Place, tell_graphs, tell_staying
from extproc.envoy.binary import find_envoy
from extproc.errors import StartError
from extproc.plan.compile import compile_graph
from extproc.supervisor.system import Settings, System

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rich.console import Console

    from extproc.demo.model_process import ModelServer
    from extproc.demo.progress import Progress
    from extproc.demo.scene import Scene
    from extproc.graph import Graph

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
    with tempfile.TemporaryDirectory(prefix="extproc-") as name:
        folder = Path(name)
        async with _models(progress) as (models, scenes):
            async with _system(options, moved(graphs, models.url), folder, progress) as system:
                place = Place(f"http://{system.ingress}", f"http://{system.admin.address}", models, folder)
                tell_graphs(console, system.plans, scenes, options.folder)
                well = await _tour(place, system, scenes, _teller(options, place, console, progress), progress)
                if not options.once:
                    tell_staying(console, place, scenes)
                    await _interrupted()
                console.print()
        progress.done(f"Everything has stopped, after {time.monotonic() - began:.1f} s.")
    return well


@asynccontextmanager
async def _models(progress: Progress) -> AsyncIterator[tuple[ModelServer, tuple[Scene, ...]]]:
    """The model server, and meanwhile the scenes, whose rows take scikit-learn's import."""
    began = time.monotonic()
    loading = asyncio.create_task(asyncio.to_thread(_scenes))
    with progress.doing("Training the models"):
        server = model_server()
        models = await server.__aenter__()
    raise NotImplementedError
    yield models, await loading
