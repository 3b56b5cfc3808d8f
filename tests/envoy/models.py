"""The models behind graphs under test: stubs that are started where a graph's text names them."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Self

from tests.envoy.stubs import MutualTlsStub, NamedTlsStub, TlsH2Stub, TlsStub, V6Stub, certificates
from tests.kit.stub import H2Stub, ModelStub

if TYPE_CHECKING:
    from tests.kit.stub_server import StubServer

# <fraud-v1> is the address of an HTTP/1.1 stub of that name, <KIND:NAME> that of another kind of stub. <down> and
# <down:NAME> are addresses where nobody listens, <port:NAME> is a stub's port alone, <file:NAME> a file of Certificates.
PLACEHOLDER = re.compile(r"<(?:([a-z0-9]+):)?([a-z][-a-z0-9]*)>")
KINDS: dict[str | None, type[ModelStub | H2Stub]] = {
    None: ModelStub,
    "port": ModelStub,
    "h2": H2Stub,
    "v6": V6Stub,
    "tls": TlsStub,
    "tlsh2": TlsH2Stub,
    "named": NamedTlsStub,
    "mutual": MutualTlsStub,
}
HOSTS: dict[str | None, str] = {"v6": "[::1]"}


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
        if kind == "file":
            return str(getattr(certificates(), name))
        stub = self._stub(name, KINDS[kind])
        return str(stub.port) if kind == "port" else f"{HOSTS.get(kind, '127.0.0.1')}:{stub.port}"

    def _stub(self, name: str, kind: type[ModelStub | H2Stub]) -> StubServer:
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
