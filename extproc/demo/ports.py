"""Where the demo listens, when ports may be taken."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from extproc.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Ports:
    """Where requests come in, and the admin address; port 0 is a free one."""

    host: str
    port: int
    admin_host: str
    admin_port: int

    def free(self, note: Callable[[str], None]) -> Ports:
        """The same, with 0 for each port that is taken, of which ``note`` is told.

        Raises:
            StartError: One cannot listen there at all.
        """
        return Ports(
            self.host, _free(self.host, self.port, note), self.admin_host, _free(self.admin_host, self.admin_port, note)
        )


def _free(host: str, port: int, note: Callable[[str], None]) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise StartError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        note(f"Port {port} is taken, so another one is used.")
        return 0
    return port
