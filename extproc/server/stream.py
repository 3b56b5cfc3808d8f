"""One gRPC stream of an HTTP/2 connection: messages out of DATA frames, replies into them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from extproc.errors import ProtocolError
from extproc.server import frames

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from extproc.server.conversation import Conversation
    from extproc.server.h2 import Connection

PREFIX = 5  # a gRPC message's head: compressed or not, and its length (gRPC over HTTP/2, "Length-Prefixed-Message")
MAX_MESSAGE = 2**30  # no graph's maxBody is near; a length beyond it is a broken peer

log = logging.getLogger(__name__)


class Stream:
    """A stream: a conversation, what has come of its next message, and what could not be sent yet."""

    __slots__ = (
        "_begun",
        "_connection",
        "_consumed",
        "_conversation",
        "_ended",
        "_half_closed",
        "_have",
        "_need",
        "_number",
        "_parts",
        "_task",
        "_unsent",
        "_waiting",
        "_window",
    )

    def __init__(self, connection: Connection, number: int, conversation: Conversation) -> None:
        self._connection = connection
        self._number = number
        self._conversation = conversation
        self._window = connection.initial_send_window
        self._parts: list[bytes] = []
        self._have = 0
        self._need = 0
        self._consumed = 0
        self._begun = False
        self._ended = False
        self._half_closed = False
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[bytes] = deque()
        self._unsent = memoryview(b"")

    def __repr__(self) -> str:
        """Say number and what is unsent."""
        return f"<Stream {self._number} unsent={len(self._unsent)} {self._conversation!r}>"

    def take(self, data: bytes) -> None:
        """Take a DATA frame's content: whole messages are answered, the rest waits for the next frame."""
        self._consumed += len(data)
        if self._consumed >= frames.WINDOW_REFILL:
            self._connection.write(frames.window_update(self._number, self._consumed))
            self._consumed = 0
        if self._parts:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._need:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        while len(data) >= PREFIX:
            length = int.from_bytes(data[1:PREFIX], "big")
            if data[0] or length > MAX_MESSAGE:
                self._fail(frames.UNIMPLEMENTED, "compressed or oversized messages are not read")
                return
            if len(data) < PREFIX + length:
                break
            self._message(data[PREFIX : PREFIX + length])
            data = data[PREFIX + length :]
        if data:
            self._parts.append(data)
            self._have = len(data)
            self._need = PREFIX + (int.from_bytes(data[1:PREFIX], "big") if len(data) >= PREFIX else 0)

    def _message(self, message: bytes) -> None:
        if self._task is not None:
            self._waiting.append(message)  # its turn comes after the reply that is being worked on
            return
        reply = self._feed(message)
        if isinstance(reply, bytes):
            self._reply(reply)
        elif reply is not None:
            self._task = asyncio.get_running_loop().create_task(self._later(reply))

    def _feed(self, message: bytes) -> bytes | Awaitable[bytes] | None:
        if self._ended:
            return None
        try:
            return self._conversation.feed(message)
        except ProtocolError as error:
            log.warning("a stream was refused: %s", error)
            self._fail(frames.INVALID_ARGUMENT, str(error))
        except Exception:
            # Ours to blame. One request's fault must not end the connection that carries others; Envoy does with this
            # request what its graph says about a processor that is away.
            log.exception("a request could not be answered")
            self._fail(frames.INTERNAL, "the processor failed")
        return None

    async def _later(self, reply: Awaitable[bytes]) -> None:
        try:
            ready = await reply
        except ProtocolError as error:
            self._task = None
            self._fail(frames.INVALID_ARGUMENT, str(error))
            return
        except Exception:
            self._task = None
            log.exception("a request could not be answered")
            self._fail(frames.INTERNAL, "the processor failed")
            return
        self._task = None
        self._reply(ready)
        while self._waiting and self._task is None:
            self._message(self._waiting.popleft())
        self._end_if_idle()

    def _reply(self, reply: bytes) -> None:
        length = len(reply) + PREFIX
        connection = self._connection
        head = b"" if self._begun else frames.response_headers(self._number)
        self._begun = True
        prefix = b"\x00" + len(reply).to_bytes(4, "big")
        if self._unsent or length > connection.max_frame or length > self._window or length > connection.send_window:
            if head:
                connection.write(head)
            self._unsent = memoryview(bytes(self._unsent) + prefix + reply)
            self.pump()
            return
        self._window -= length
        connection.send_window -= length
        data = frames.frame(frames.DATA, 0, self._number, prefix + reply)
        if self._conversation.done:
            connection.write(head + data + frames.trailers_ok(self._number))
            self._end()
        else:
            connection.write(head + data)

    def pump(self) -> None:
        """Send as much of what waits as the windows allow."""
        connection = self._connection
        at = 0
        while at < len(self._unsent):
            size = min(len(self._unsent) - at, connection.max_frame, self._window, connection.send_window)
            if size <= 0:
                break
            connection.write(frames.frame(frames.DATA, 0, self._number, self._unsent[at : at + size]))
            self._window -= size
            connection.send_window -= size
            at += size
        if at:
            self._unsent = self._unsent[at:]
            if not self._unsent and self._conversation.done and not self._ended:
                connection.write(frames.trailers_ok(self._number))
                self._end()
            self._end_if_idle()

    def widen(self, change: int) -> None:
        """Take a change of this stream's send window."""
        self._window += change
        self.pump()

    def half_closed(self) -> None:
        """The peer says nothing more: when no reply is due any more, so do we."""
        self._half_closed = True
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._half_closed and not self._ended and self._task is None and not self._unsent:
            self._connection.write(
                (b"" if self._begun else frames.response_headers(self._number)) + frames.trailers_ok(self._number)
            )
            self._end()

    def _fail(self, status: int, message: str) -> None:
        if not self._ended:
            self._connection.write(frames.trailers_failed(self._number, status, message, alone=not self._begun))
            self._end()

    def _end(self) -> None:
        self._ended = True
        if self._task is not None:
            self._task.cancel()
        self._connection.forget(self._number)
        self._conversation.gone()

    def cancel(self) -> None:
        """The peer has left: nothing more is sent, and what is under way is cancelled."""
        self._ended = True
        if self._task is not None:
            self._task.cancel()
        self._conversation.gone()
