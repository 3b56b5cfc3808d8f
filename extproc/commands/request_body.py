"""``--body``: a request's body from a file, or from standard input."""

from __future__ import annotations

import sys
from pathlib import Path


def request_body(source: str | None) -> bytes | None:
    """Return the body that ``FILE`` or ``-`` names, None without one; exit 2 for what cannot be read."""
    if source is None:
        return None
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        print(f"--body {source}: {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from None
