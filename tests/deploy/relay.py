"""The first process of a network of its own, which carries connections in and out: ``python relay.py 'FROM TO'...``.

FROM and TO are ``unix:PATH`` or ``HOST:PORT``. A socket's path leads to the same place from every network, so that two
of these join two networks, and one joins a network with the tests. It needs nothing but the standard library, and says
``ready`` once everything listens.
"""

from __future__ import annotations

import asyncio
import fcntl
import signal
import socket
import struct
import sys
from typing import TypeAlias

PIECE = 1 << 16
_Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# linux/sockios.h and linux/if.h: a new network's loopback device is down.
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1


def raise_loopback() -> None:
    """Turn the loopback device on."""
    name = b"lo".ljust(16, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sh14x", name, 0)), 16)
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", name, flags | _UP))


async def listen(where: str, to: str) -> asyncio.Server:
    """Carry every connection to another address."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await connect(to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    if where.startswith("unix:"):
        return await asyncio.start_unix_server(carry, where.removeprefix("unix:"))
    host, _, port = where.rpartition(":")
    return await asyncio.start_server(carry, host, int(port))


async def connect(to: str) -> _Stream:
    """Open a connection."""
    if to.startswith("unix:"):
        return await asyncio.open_unix_connection(to.removeprefix("unix:"))
    host, _, port = to.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction to its end."""
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def main(pairs: list[str]) -> None:
    """Carry until the end."""
    raise_loopback()
    servers = [await listen(*pair.split(" ")) for pair in pairs]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.gather(*(server.serve_forever() for server in servers), asyncio.Event().wait())


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the first process inherits children that others left
    asyncio.run(main(sys.argv[1:]))
