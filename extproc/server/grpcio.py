"""The transport on grpcio: slower by a multiple, and the one to compare with when the other is doubted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from extproc.engine.traceparent import Traceparent
from extproc.errors import ProtocolError, StartError
from extproc.headers import TRACEPARENT_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.server.conversation import Answering, Conversation

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # the graph's maxBody bounds bodies; grpcio's 4 MiB would be a 500
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # two servers on one port would be a mistake nobody sees
)


class GrpcioTransport:
    """A listening grpcio server."""

    def __init__(self, answering: Answering) -> None:
        self._handlers = _Handlers(answering)
        self._server = grpc.aio.server(handlers=(self._handlers,), options=_OPTIONS)

    async def listen(self, address: str) -> None:
        """Listen at ``unix:PATH`` or ``HOST:PORT``. Raises StartError."""
        try:
            self._server.add_insecure_port(address)
        except RuntimeError:
            raise StartError(f"cannot listen on {address}: is it taken, or its folder missing?") from None
        await self._server.start()

    def load(self) -> tuple[int, int]:
        """Return how many streams there are; grpcio does not tell of connections."""
        return self._handlers.streams, 0

    async def stop(self, grace: float) -> None:
        """End: streams under way have ``grace`` seconds."""
        await self._server.stop(grace)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Any method: the conversation decides."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self.streams = 0

    def service(self, details: Any) -> Any:
        path = details.method

        async def process(_messages: Any, context: Any) -> None:
            self.streams += 1
            try:
                await _converse(self._answering, path, dict(context.invocation_metadata()), context)
            finally:
                self.streams -= 1

        return grpc.stream_stream_rpc_method_handler(process)


async def _converse(answering: Answering, path: str, metadata: Mapping[str, str], context: Any) -> None:
    conversation: Conversation | None = None
    try:
        told = metadata.get(TRACEPARENT_HEADER)
        conversation = answering.open(path, metadata, None if told is None else Traceparent(told))
        if conversation is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no such method")
            return
        while (message := await context.read()) is not grpc.aio.EOF:
            reply = conversation.feed(message)
            await context.write(reply if isinstance(reply, bytes) else await reply)
            if conversation.done:
                return
    except ProtocolError as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    finally:
        if conversation is not None:
            conversation.gone()
