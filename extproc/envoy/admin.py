"""Envoy's admin page, over its Unix socket."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import aiohttp

from extproc.envoy.names import PROCESSOR_CLUSTER

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT = aiohttp.ClientTimeout(total=5)
AWAY = (aiohttp.ClientError, OSError)  # what is raised while Envoy does not answer
# All that readiness asks for, in one request.
_READINESS = (
    rf"^(cluster\.{PROCESSOR_CLUSTER}\.membership_healthy"
    r"|cluster_manager\.warming_clusters|listener_manager\.total_listeners_(warming|active)"
    r"|.*update_rejected|listener_manager\.listener_create_failure)$"
)
LISTENERS = 2
ROUTES_VERSIONS = r"^http\.[a-z]+\.rds\..*\.version_text$"


class EnvoyAdmin:
    """What an Envoy says of itself, at ``unix:PATH`` or ``HOST:PORT``.

    Every method raises aiohttp.ClientError or OSError while it is away.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str) -> str:
        """Return a page's text."""
        async with self._connected().get(f"{self._host}{path}") as response:
            return await response.text()

    async def post(self, path: str) -> str:
        """Do what a page does."""
        async with self._connected().post(f"{self._host}{path}") as response:
            return await response.text()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            unix = self._address.startswith("unix:")
            connector = aiohttp.UnixConnector(self._address.removeprefix("unix:")) if unix else None
            self._session = aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, raise_for_status=True)
        return self._session

    @property
    def _host(self) -> str:
        return "http://envoy" if self._address.startswith("unix:") else f"http://{self._address}"

    async def counters(self, pattern: str) -> dict[str, int]:
        """Return the counters and gauges whose names match an RE2 pattern."""
        text = await self.get(f"/stats?filter={_quoted(pattern)}")
        pairs = (line.rpartition(": ") for line in text.splitlines())
        return {name: int(value) for name, _, value in pairs if value.isdigit()}

    async def texts(self, pattern: str) -> dict[str, str]:
        """Return the text readouts whose names match an RE2 pattern."""
        text = await self.get(f"/stats?filter={_quoted(pattern)}")
        pairs = (line.partition(": ") for line in text.splitlines())
        return {name: value.strip('"') for name, _, value in pairs}

    async def unready(self) -> str | None:
        """Return what is still missing, None when Envoy serves and sees a healthy processor."""
        async with self._connected().get(f"{self._host}/ready", raise_for_status=False) as response:
            state = (await response.text()).strip()
        if state != "LIVE":
            return f"Envoy is {state.lower()}"
        return _missing(await self.counters(_READINESS))


def _missing(counters: Mapping[str, int]) -> str | None:
    rejected = [name for name, count in counters.items() if name.endswith("update_rejected") and count]
    if rejected:
        return f"Envoy rejected its configuration ({', '.join(sorted(rejected))})"
    if counters.get("cluster_manager.warming_clusters", 1):
        return "Envoy's clusters are warming"
    if counters.get("listener_manager.total_listeners_active", 0) < LISTENERS:
        return "Envoy's listeners are not up"
    if not counters.get(f"cluster.{PROCESSOR_CLUSTER}.membership_healthy", 0):
        return "Envoy sees no healthy processor"
    return None


def _quoted(pattern: str) -> str:
    from urllib.parse import quote

    return quote(re.sub(r"\s", "", pattern), safe="")
