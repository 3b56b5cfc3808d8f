"""Configuration files, replaced so that Envoy never sees half of one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600  # headers set on the way to models may be credentials


def write(folder: Path, files: Mapping[str, str], *, private: bool = True) -> None:
    """Write files in their order: each beside the folder Envoy watches, then renamed into it.

    ``private`` files are this user's alone; others get the modes that the user's umask leaves.
    """
    folder_mode, file_mode = (PRIVATE_FOLDER, PRIVATE_FILE) if private else (0o777, 0o666)
    folder.mkdir(parents=True, exist_ok=True, mode=folder_mode)
    for name, text in files.items():
        target = folder / name
        target.parent.mkdir(exist_ok=True, mode=folder_mode)
        beside = folder / f".{target.name}.new"
        beside.unlink(missing_ok=True)  # what a killed process left may have another mode, or lead elsewhere
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file_mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(target)
