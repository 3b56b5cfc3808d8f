"""Carries connections between a network and the tests: ``python relay.py 'FROM TO'...``, each ``unix:PATH`` or ``HOST:PORT``.

A socket's path leads to the same place from every network. It needs nothing but the standard library, says ``ready``
once everything listens, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys

PIECE = 1 << 16


async def listen(where: str, to: str) -> None:
    """Carry every connection to another address."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await connect(to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    if where.startswith("unix:"):
        await asyncio.start_unix_server(carry, where.removeprefix("unix:"))
    else:
        host, _, port = where.rpartition(":")
        await asyncio.start_server(carry, host, int(port))


async def connect(to: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
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
    """Carry until the standard input ends: it is a pipe from the tests, however these end."""
    for pair in pairs:
        await listen(*pair.split(" "))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
