"""The models behind graphs under test: stubs that are started where a graph's text names them."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Self

from tests.kit.stub import H2Stub, ModelStub

if TYPE_CHECKING:
    from tests.kit.stub_server import StubServer

# <fraud-v1> is the address of an HTTP/1.1 stub of that name, <h2:NAME> that of an HTTP/2 one, and <down> and <down:N>
# are addresses where nobody listens; <port:NAME> is a stub's port alone.
PLACEHOLDER = re.compile(r"<(?:(h2|down|port):)?([a-z][-a-z0-9]*|\d+)>")


class Models:
    """Stubs by name. A stub is started when a text first names it, and closed with all others."""

    def __init__(self) -> None:
        self._stubs: dict[str, StubServer] = {}
        self._held: dict[str, socket.socket] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stub in self._stubs.values():
            stub.close()
        for held in self._held.values():
            held.close()

    def __getitem__(self, name: str) -> StubServer:
        return self._stubs[name]

    def __repr__(self) -> str:
        return f"<Models {' '.join(map(repr, self._stubs.values()))}>"

    def fill(self, text: str) -> str:
        """The text with each placeholder's address put in."""
        return PLACEHOLDER.sub(lambda found: self._address(found[1], found[2]), text)

    def _address(self, kind: str | None, name: str) -> str:
        if kind == "down" or name == "down":
            return f"127.0.0.1:{self._port_held(name)}"
        port = self._stub(name, H2Stub if kind == "h2" else ModelStub).port
        return str(port) if kind == "port" else f"127.0.0.1:{port}"

    def _stub(self, name: str, kind: type[StubServer]) -> StubServer:
        if name not in self._stubs:
            self._stubs[name] = kind(name).start()
        return self._stubs[name]

    def _port_held(self, name: str) -> int:
        """A port that is taken, so that nobody else gets it, and refuses connections, because nobody listens."""
        if name not in self._held:
            self._held[name] = socket.socket()
            self._held[name].bind(("127.0.0.1", 0))
        port: int = self._held[name].getsockname()[1]
        return port
