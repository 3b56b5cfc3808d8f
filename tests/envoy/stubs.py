"""Stubs behind TLS and on IPv6, and the certificates they need."""

from __future__ import annotations

import asyncio
import atexit
import functools
import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tests.kit.stub import H2Stub, ModelStub
from tests.kit.stub_server import StubServer

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "model.test"
EVERY_NAME = f"DNS:{NAME},DNS:localhost,IP:127.0.0.1"


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)  # noqa: S607


class Certificates:
    """An authority and what it signed, made for one run of the tests."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="extproc-tls-")
        atexit.register(self._folder.cleanup)
        self.ca = self._path("ca.crt")
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self._key = key
        _openssl(
            "req", "-x509", *key, "-days", "2", "-subj", "/CN=tests", "-out", self.ca, "-keyout", self._path("ca.key")
        )
        self.server = self._signed("server", EVERY_NAME)
        self.named = self._signed("named", f"DNS:{NAME}")
        self.client = self._signed("client", "DNS:client.test")
        self.key = self.client.replace(".crt", ".key")

    def _path(self, name: str) -> str:
        return str(Path(self._folder.name) / name)

    def _signed(self, name: str, names: str) -> str:
        certificate, key, request = (self._path(f"{name}.{end}") for end in ("crt", "key", "csr"))
        extension = self._path(f"{name}.ext")
        Path(extension).write_text(f"subjectAltName={names}\n")
        _openssl("req", *self._key, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        signing = [
            "-CA",
            self.ca,
            "-CAkey",
            self._path("ca.key"),
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            extension,
        ]
        _openssl("x509", "-req", "-in", request, *signing, "-out", certificate)
        return certificate

    def context(self, certificate: str, *, protocols: Sequence[str] = (), mutual: bool = False) -> ssl.SSLContext:
        """What a server presents and asks for."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.replace(".crt", ".key"))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        if mutual:
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@functools.cache
def certificates() -> Certificates:
    """The one set of this run."""
    return Certificates()


class Tls(StubServer):
    """A stub behind TLS; ``names`` are the server names that clients sent."""

    certificate: ClassVar[str] = "server"
    alpn: ClassVar[tuple[str, ...]] = ()
    mutual: ClassVar[bool] = False

    def __init__(self, name: str = "stub", **behaviour: Any) -> None:
        super().__init__(name, **behaviour)
        self.names: list[str | None] = []

    async def _start(self, port: int) -> None:
        own = certificates()
        context = own.context(getattr(own, self.certificate), protocols=self.alpn, mutual=self.mutual)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self._server = await asyncio.get_running_loop().create_server(self.protocol, "127.0.0.1", port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]


class TlsStub(Tls, ModelStub):
    """HTTP/1.1 over TLS, with a certificate for all its names."""


class TlsH2Stub(Tls, H2Stub):
    """HTTP/2 over TLS, offered by ALPN and nothing else."""

    alpn = ("h2",)


class NamedTlsStub(Tls, ModelStub):
    """HTTP/1.1 over TLS, with a certificate for ``model.test`` alone."""

    certificate = "named"


class MutualTlsStub(Tls, ModelStub):
    """HTTP/1.1 over TLS, for clients with a certificate of the authority."""

    mutual = True


class V6Stub(ModelStub):
    """HTTP/1.1 on ::1; on a machine without IPv6 nobody listens."""

    async def _start(self, port: int) -> None:
        try:
            self._server = await asyncio.get_running_loop().create_server(self.protocol, "::1", port)
        except OSError:
            self.port = 9
            return
        self.port = self._server.sockets[0].getsockname()[1]
