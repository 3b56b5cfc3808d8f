"""A small model server, as clients of KServe and MLServer know them: V1 JSON and V2 (Open Inference Protocol) JSON.

Statuses and error shapes are theirs: ``{"error": "..."}`` with 400 for what cannot be predicted, 404 for an unknown
model, 413 for a body above the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import signal
import sys
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
from aiohttp import web

from extproc.demo import v1, v2
from extproc.demo.prediction import BadInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from extproc.demo.models import DemoModel

BODY_BYTES: Final = 8 * 1024 * 1024  # some 20,000 rows of 30 long numbers; above it: 413

MODELS: Final[web.AppKey[dict[str, DemoModel]]] = web.AppKey("models", dict)


@dataclasses.dataclass(frozen=True)
class Running:
    """A server that listens. ``close`` stops it; so does leaving ``async with``."""

    host: str
    port: int
    _runner: web.AppRunner = dataclasses.field(repr=False)

    @property
    def url(self) -> str:
        """``http://HOST:PORT``, without a path."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stops listening and drops idle connections."""
        await self._runner.cleanup()


async def serve_models(models: Mapping[str, DemoModel], host: str = "127.0.0.1", port: int = 0) -> Running:
    """Serves models in the running loop; with port 0 the system picks one.

    Raises:
        OSError: The port is taken.
    """
    runner = web.AppRunner(application(models), handle_signals=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    return Running(host, runner.addresses[0][1], runner)


def application(models: Mapping[str, DemoModel]) -> web.Application:
    """The server's routes."""
    app = web.Application(client_max_size=BODY_BYTES, middlewares=[_errors_as_json])
    app[MODELS] = dict(models)
    app.add_routes(
        [
            web.get("/v1/models", _v1_list),
            web.get("/v1/models/{name:[^/:]+}", _v1_model),
            web.post("/v1/models/{name:[^/:]+}:predict", _v1_predict),
            web.get("/v2", _v2_server),
            web.get("/v2/health/live", _v2_live),
            web.get("/v2/health/ready", _v2_ready),
            web.get("/v2/models/{name:[^/:]+}", _v2_model),
            web.get("/v2/models/{name:[^/:]+}/ready", _v2_model_ready),
            web.post("/v2/models/{name:[^/:]+}/infer", _v2_infer),
        ]
    )
    return app


async def _v1_list(request: web.Request) -> web.Response:
    return _json({"models": [*request.app[MODELS]]})


async def _v1_model(request: web.Request) -> web.Response:
    return _json({"name": _model(request).name, "ready": True})


async def _v1_predict(request: web.Request) -> web.Response:
    return _json(await v1.predict(_model(request), await _body(request)))


async def _v2_server(_: web.Request) -> web.Response:
    return _json(v2.SERVER)


async def _v2_live(_: web.Request) -> web.Response:
    return _json({"live": True})


async def _v2_ready(_: web.Request) -> web.Response:
    return _json({"ready": True})


async def _v2_model(request: web.Request) -> web.Response:
    return _json(v2.describe(_model(request)))


async def _v2_model_ready(request: web.Request) -> web.Response:
    return _json({"name": _model(request).name, "ready": True})


async def _v2_infer(request: web.Request) -> web.Response:
    return _json(await v2.infer(_model(request), await _body(request)))


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.RequestPayloadError as error:  # compressed or framed in a way that it is not
        raise BadInput("the body cannot be read") from error


def _model(request: web.Request) -> DemoModel:
    name = request.match_info["name"]
    model = request.app[MODELS].get(name)
    if model is None:
        raise web.HTTPNotFound(text=f"Model with name {name} does not exist.")
    return model


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Errors as ``{"error": ...}``; what aiohttp raises keeps its status and headers."""
    try:
        return await handler(request)
    except BadInput as error:
        return _json({"error": str(error)}, status=400)
    except web.HTTPException as error:
        allow = error.headers.get("allow")
        return _json(
            {"error": error.text or error.reason}, status=error.status, headers={"allow": allow} if allow else {}
        )


def _json(document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode(document)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


async def _run(host: str, port: int) -> None:
    """Serves every demo model until a signal comes."""
    from extproc.demo.models import train_models

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with await serve_models(train_models(), host, port) as running:
        sys.stdout.write(f"{running.url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    """Runs from the command line: ``python -m extproc.demo.model_server``."""
    parser = argparse.ArgumentParser(prog="python -m extproc.demo.model_server", description="Serves the demo models.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=18080, help="0: the system picks one (default: the sample graphs')")
    options = parser.parse_args()
    asyncio.run(_run(options.host, options.port))


if __name__ == "__main__":
    main()
