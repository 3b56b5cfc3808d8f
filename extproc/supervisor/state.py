"""The state folder: what outlives a supervisor, and who holds it now."""

from __future__ import annotations

import fcntl
import os
import uuid
from typing import TYPE_CHECKING

import msgspec

from extproc.envoy.files import PRIVATE_FILE, PRIVATE_FOLDER
from extproc.errors import StartError

if TYPE_CHECKING:
    from pathlib import Path

LOCK, WRITER, LEDGERS, EVIDENCE = "lock", "writer", "ledgers", "evidence.db"


class State:
    """A folder that one supervisor holds at a time. Raises StartError where it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledgers = folder / LEDGERS
        self._lock: int | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
            self.ledgers.mkdir(exist_ok=True, mode=PRIVATE_FOLDER)
        except OSError as error:
            raise self._unusable(error) from None

    def __repr__(self) -> str:
        """Say where it is."""
        return f"<State {self.folder}>"

    def hold(self) -> None:
        """Take the folder until this process ends or gives it back. Raises StartError where another one holds it."""
        try:
            self._lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.give_back()
            raise StartError(f"--state {self.folder} is in use by another extproc; choose another folder") from None
        except OSError as error:
            self.give_back()
            raise self._unusable(error) from None

    def give_back(self) -> None:
        """Let others take it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _unusable(self, error: OSError) -> StartError:
        return StartError(f"--state {self.folder}: {error.strerror}; choose another folder")

    @property
    def writer(self) -> str:
        """An id that stays as long as the folder does."""
        file = self.folder / WRITER
        try:
            return file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            written(file, uuid.uuid4().hex.encode())
            return file.read_text(encoding="utf-8")

    @property
    def store(self) -> str:
        """The URL of the store that is used where no other one is named."""
        return f"sqlite:///{self.folder.absolute() / EVIDENCE}"


def written(file: Path, content: bytes) -> None:
    """Replace a file so that it holds all of its content, or the old one, after a power cut too. Raises StartError."""
    try:
        _write(file, content)
    except OSError as error:
        raise StartError(f"{file} cannot be written: {error.strerror}") from None


def _write(file: Path, content: bytes) -> None:
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as new:
        new.write(content)
        new.flush()
        os.fsync(new.fileno())
    beside.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_json(file: Path, type_: type[msgspec.Struct]) -> msgspec.Struct:
    """Return what a file holds, its type's defaults where there is none. Raises StartError for one that is broken."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=type_)
    except FileNotFoundError:
        return type_()
    except OSError as error:
        raise StartError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:  # what is no JSON, and what is no text
        raise StartError(f"{file} cannot be read: {error}; move it away to start without it") from None
