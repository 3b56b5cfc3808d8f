"""What a transport needs of whoever answers its streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from extproc.engine.traceparent import Traceparent


class Conversation(Protocol):
    """One stream's answers, message by message."""

    @property
    def done(self) -> bool:
        """Whether the last reply has been given, so that the stream can end."""
        ...

    def feed(self, message: bytes) -> bytes | Awaitable[bytes]:
        """Take a message, return the reply, or what it can be awaited from. Raises ProtocolError."""
        ...

    def gone(self) -> None:
        """The stream has ended, well or badly; nothing more is fed."""
        ...


class Answering(Protocol):
    """Opens conversations by method path."""

    def open(
        self, path: str, metadata: Mapping[str, str], traceparent: Traceparent | None = None
    ) -> Conversation | None:
        """Return the conversation for a new stream, None for a method that is not served. Raises ProtocolError."""
        ...
