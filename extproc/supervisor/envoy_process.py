"""The Envoy process, kept alive."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

import aiohttp

from extproc.envoy.admin import EnvoyAdmin
from extproc.envoy.build import BOOTSTRAP
from extproc.envoy.layout import STANDARD_OUTPUT
from extproc.envoy.names import INGRESS
from extproc.errors import StartError
from extproc.supervisor.backoff import Backoff
from extproc.supervisor.spawn import end, spawn

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from pathlib import Path

START_TIMEOUT = 30.0
STOP_PATIENCE = 2.0
POLL = 0.02
ACCESS_LOG_FLUSH = 1.0  # seconds that Envoy holds lines of an access log: by default ten, long for who watches it
_AWAY = (aiohttp.ClientError, OSError, TimeoutError)

log = logging.getLogger(__name__)


class EnvoyProcess:
    """An Envoy under watch; its last words are kept for whoever asks why it ended."""

    def __init__(self, binary: Path, folder: Path, admin_socket: Path, access_log: str | None = None) -> None:
        self.admin = EnvoyAdmin(f"unix:{admin_socket}")
        self.starts = 0
        self.stopping = False
        self._binary = binary
        self._folder = folder
        self._access_log = access_log
        self._process: Process | None = None
        self._words: deque[str] = deque(maxlen=50)

    def __repr__(self) -> str:
        """Say the process."""
        return f"<EnvoyProcess pid={self.pid} starts={self.starts}>"

    @property
    def pid(self) -> int | None:
        """The process id, None while none runs."""
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Keep Envoy running until cancelled. Raises StartError when its very first life ends by itself."""
        backoff = Backoff()
        while True:
            backoff.started()
            await self._one_life()
            if self.stopping:
                return
            if self.starts == 1 and not self._served:
                raise StartError(f"Envoy did not start:\n{self.last_words()}")
            pause = backoff.pause()
            log.error("Envoy ended; it starts again in %.1f s. Its last words:\n%s", pause, self.last_words())
            await asyncio.sleep(pause)

    _served = False

    async def _one_life(self) -> None:
        self.starts += 1
        command = [str(self._binary), "-c", str(self._folder / BOOTSTRAP), "--disable-hot-restart", "-l", "warning"]
        command += ["--file-flush-interval-msec", str(round(ACCESS_LOG_FLUSH * 1000))]
        # Its standard output is for an access log alone, and then it is ours.
        stdout = None if self._access_log == STANDARD_OUTPUT else asyncio.subprocess.DEVNULL
        process = self._process = await spawn(
            command, stdin=asyncio.subprocess.DEVNULL, stdout=stdout, stderr=asyncio.subprocess.PIPE
        )
        try:
            if process.stderr is not None:
                async for line in process.stderr:
                    self._words.append(line.decode(errors="replace").rstrip())
            await process.wait()
        finally:
            await end(process, STOP_PATIENCE)
            self._process = None

    def last_words(self) -> str:
        """Return the last lines Envoy wrote."""
        return "\n".join(list(self._words)[-10:]) or "(it wrote nothing)"

    async def unready(self) -> str | None:
        """Return what is still missing before Envoy serves, None when it does."""
        if self.pid is None:
            return "Envoy is not running"
        try:
            return await self.admin.unready()
        except _AWAY:
            return "Envoy does not answer yet"

    async def ready(self) -> None:
        """Return when Envoy serves. Raises StartError when it does not get there."""
        missing: str | None = "Envoy does not answer yet"
        try:
            async with asyncio.timeout(START_TIMEOUT):
                while (missing := await self.unready()) is not None:
                    if "rejected" in missing:
                        raise StartError(f"{missing}:\n{self.last_words()}")
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise StartError(f"{missing} after {START_TIMEOUT:.0f} s:\n{self.last_words()}") from None
        self._served = True

    async def drain(self, patience: float) -> None:
        """Accept nothing new, and return when no request is under way, or after ``patience`` seconds."""
        self.stopping = True
        try:
            await self.admin.post("/healthcheck/fail")
            await self.admin.post("/drain_listeners?inboundonly")
            async with asyncio.timeout(patience):
                while await self._under_way():
                    await asyncio.sleep(POLL)
        except _AWAY:
            return

    async def _under_way(self) -> int:
        name = f"http.{INGRESS}.downstream_rq_active"
        return (await self.admin.counters(f"^{name}$".replace(".", r"\."))).get(name, 0)

    async def stop(self) -> None:
        """End the process."""
        self.stopping = True
        await self.admin.close()
        if self._process is not None:
            await end(self._process, STOP_PATIENCE)
