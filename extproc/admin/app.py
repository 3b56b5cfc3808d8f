"""The admin address's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from extproc.admin.challenges import MAX_FEEDBACK, ChallengePages
from extproc.admin.metrics import exposition
from extproc.admin.traces import NO_TRACES, TracePages, Traces
from extproc.errors import StartError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from extproc.admin.challenges import Challenges
    from extproc.plan.plan import Plan
    from extproc.telemetry.counters import Key


ANSWERS_PATIENCE = 1.0  # seconds at the end for answers under way: one that waits for a store must not hold it up


class Observed(Protocol):
    """What the pages show."""

    @property
    def plans(self) -> Sequence[Plan]:
        """Return the plans in force."""
        ...

    @property
    def challenges(self) -> Challenges:
        """Return the challenges."""
        ...

    async def unready(self) -> str | None:
        """Return why requests would not be served now, None when they would."""
        ...

    async def counts(self) -> Counter[Key]:
        """Return all that is counted: by workers, by Envoy, and here."""
        ...


class AdminServer:
    """The admin address, listening once it is started."""

    def __init__(
        self, observed: Observed, host: str, port: int, token: str | None = None, traces: Traces = NO_TRACES
    ) -> None:
        self._observed = observed
        self._host = host
        self._port = port
        app = web.Application(client_max_size=MAX_FEEDBACK)
        app.router.add_get("/", self._index)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/graphs", self._graphs)
        ChallengePages(observed.challenges, token).add_to(app)
        TracePages(traces).add_to(app)
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=ANSWERS_PATIENCE)

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self._runner.addresses[0][:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(self) -> None:
        """Listen. Raises StartError."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise StartError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror}; choose another with --admin"
            ) from None

    async def stop(self) -> None:
        """End."""
        await self._runner.cleanup()

    async def _index(self, _request: web.Request) -> web.Response:
        return web.Response(text="extproc\n\n/healthz\n/readyz\n/metrics\n/graphs\n/challenges\n/traces\n")

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        missing = await self._observed.unready()
        return web.Response(text="ready\n") if missing is None else web.Response(status=503, text=f"{missing}\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        body, content_type = exposition(await self._observed.counts(), await self._observed.challenges.latest())
        return web.Response(body=body, headers={"content-type": content_type})

    async def _graphs(self, _request: web.Request) -> web.Response:
        return web.json_response({"graphs": [_described(plan) for plan in self._observed.plans]})


def _described(plan: Plan) -> dict[str, object]:
    return {
        "graph": plan.graph,
        "id": plan.id,
        "models": list(plan.models),
        "reads": "body" if plan.reads_body else "headers",
        "whenAway": plan.away.name if plan.away else "closed",
    }
