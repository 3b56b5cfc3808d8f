"""The state folder: one holder at a time, an id that stays, files that are whole or not there."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from extproc.errors import StartError
from extproc.supervisor.state import State, read_json, written

FILES = Path("/proc/self/fd")
HOLD = (
    "import sys; from pathlib import Path; from extproc.supervisor.state import State; State(Path(sys.argv[1])).hold()"
)


class Kept(msgspec.Struct):
    value: int = 7


def test_one_holder_at_a_time(tmp_path: Path):
    """A second holder is refused and told what to do; when the first gives the folder back another one may have it."""
    first, second = State(tmp_path), State(tmp_path)
    first.hold()
    with pytest.raises(StartError, match=rf"^--state {tmp_path} is in use by another extproc; choose another folder$"):
        second.hold()
    first.give_back()
    second.hold()
    with pytest.raises(StartError):
        first.hold()
    second.give_back()


def test_a_process_that_ended_holds_nothing(tmp_path: Path):
    """Whoever held the folder and ended without a word is not in the way."""
    subprocess.run([sys.executable, "-c", HOLD, str(tmp_path)], check=True)
    state = State(tmp_path)
    state.hold()
    refused = subprocess.run([sys.executable, "-c", HOLD, str(tmp_path)], check=False, capture_output=True, text=True)
    state.give_back()
    assert refused.returncode == 1
    assert "in use by another extproc" in refused.stderr


def test_what_is_refused_holds_no_file_open(tmp_path: Path):
    """A refusal leaves no descriptor behind."""
    first = State(tmp_path)
    first.hold()
    before = len(list(FILES.iterdir()))
    for _ in range(3):
        with pytest.raises(StartError):
            State(tmp_path).hold()
    assert len(list(FILES.iterdir())) == before
    first.give_back()


def test_the_writer_stays(tmp_path: Path):
    """The id is the same for as long as the folder is there, and another folder's is another one."""
    ids = {State(tmp_path / "a").writer for _ in range(3)}
    assert len(ids) == 1
    assert ids != {State(tmp_path / "b").writer}
    assert all(len(one) == 32 for one in ids)


def test_everything_is_private(tmp_path: Path):
    """Folders are this user's alone, and so is every file in them, whatever the umask says."""
    old = os.umask(0)
    try:
        state = State(tmp_path / "state")
        state.hold()
        assert state.writer
        written(state.folder / "promotions.json", b"{}")
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (state.folder, *state.folder.iterdir())}
    state.give_back()
    assert modes == {"state": 0o700, "ledgers": 0o700, "lock": 0o600, "writer": 0o600, "promotions.json": 0o600}


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_one(tmp_path: Path, place: str):
    """A file in the folder's place is told, with what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=rf"^--state {tmp_path}/{place}: .*; choose another folder$"):
        State(tmp_path / place)


def test_a_lock_that_cannot_be_opened(tmp_path: Path):
    """What stands where the lock should be is told, and not taken for another holder."""
    (tmp_path / "lock").mkdir()
    with pytest.raises(StartError, match=r": Is a directory; choose another folder$"):
        State(tmp_path).hold()


def test_a_file_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A write that fails leaves the old content, and the next one is not hindered by what it left."""
    file = tmp_path / "x.json"
    written(file, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(StartError, match=rf"^{file} cannot be written: No space left on device$"):
            written(file, b"new, and longer")
    assert file.read_bytes() == b"old"
    written(file, b"new")
    assert file.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"value": "x"}', b"\xff", b'{"value": "\xff"}'])
def test_a_broken_file(tmp_path: Path, content: bytes):
    """A file that is no such document is named, with what to do about it."""
    file = tmp_path / "kept.json"
    file.write_bytes(content)
    with pytest.raises(StartError, match=rf"^{file} cannot be read: .*; move it away to start without it$"):
        read_json(file, Kept)


def test_a_file_that_is_no_file(tmp_path: Path):
    """A folder in the file's place is named; no file at all has the type's defaults."""
    with pytest.raises(StartError, match=rf"^{tmp_path} cannot be read: Is a directory$"):
        read_json(tmp_path, Kept)
    assert read_json(tmp_path / "none.json", Kept) == Kept()
