"""Ports that may be taken."""

from __future__ import annotations

import errno
import socket

from extproc.errors import StartError


def is_free(host: str, port: int) -> bool:
    """Can one listen there? Port 0 is always free.

    Raises:
        StartError: One cannot, for another reason than that somebody else does.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return True
