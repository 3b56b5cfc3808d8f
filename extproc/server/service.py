"""The ext_proc service on grpcio: one stream, one exchange."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import grpc

from extproc.errors import ProtocolError
from extproc.exchange.exchange import Exchange
from extproc.headers import GRAPH_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from extproc.engine.seams import Recorder
    from extproc.plan.sticky import Random
    from extproc.server.generations import Generations

SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"

log = logging.getLogger(__name__)


class Processor:
    """Envoy's external processor; ``streams`` counts those under way."""

    def __init__(self, generations: Generations, random: Random, recorder: Recorder) -> None:
        self._generations = generations
        self._random = random
        self._recorder = recorder
        self.streams = 0

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server is given; messages stay bytes."""
        method = grpc.stream_stream_rpc_method_handler(self._process)
        return grpc.method_handlers_generic_handler(SERVICE, {"Process": method})

    async def _process(self, _messages: AsyncIterator[bytes], context: Any) -> None:
        self.streams += 1
        try:
            await self._converse(context)
        except ProtocolError as error:
            log.warning("a stream was refused: %s", error)
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        finally:
            self.streams -= 1

    async def _converse(self, context: Any) -> None:
        exchange = Exchange(self._generations, _graph(context), self._random, self._recorder)
        while not exchange.done:
            message = await context.read()
            if message is grpc.aio.EOF:
                return
            await context.write(exchange.feed(message))


def _graph(context: Any) -> str | None:
    """Return the ``graph@hash`` that Envoy's route put into the stream's metadata."""
    return next((value for key, value in context.invocation_metadata() if key == GRAPH_HEADER), None)
