"""Configuration files, replaced so that Envoy never sees half of one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600  # headers set on the way to models may be credentials


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files in their order: each beside the folder Envoy watches, then renamed into it."""
    for name, text in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        beside = folder / f".{target.name}.new"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(target)
