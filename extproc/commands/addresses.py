"""Addresses as people type them."""

from __future__ import annotations

import sys

from extproc.envoy.layout import Address


def host_and_port(text: str) -> tuple[str, int]:
    """Return the parts of ``127.0.0.1:9090`` or ``[::1]:9090``; exit 2 for what is neither."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:  # noqa: PLR2004 - the last port
        print(f"{text!r} is no address: expected HOST:PORT, like 127.0.0.1:9090", file=sys.stderr)
        raise SystemExit(2)
    return host.strip("[]"), int(port)


def address(text: str) -> Address:
    """Return ``unix:PATH`` or ``HOST:PORT`` as an address; exit 2 for what is neither."""
    if text.startswith("unix:"):
        return Address(path=text.removeprefix("unix:"))
    host, port = host_and_port(text)
    return Address(host, port)
