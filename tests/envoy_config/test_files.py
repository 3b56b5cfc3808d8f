"""Files that Envoy watches are replaced whole, and are for this user alone."""

from __future__ import annotations

import os
import stat

import pytest

from extproc.envoy.files import write

FILES = {"cds/clusters.json": "{}\n", "rds/a.json": '{"é": 1}\n', "bootstrap.json": "{}\n"}


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o022, 0o000, 0o077], ids=["umask-022", "umask-000", "umask-077"])
def umask(request):
    """Any umask."""
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_what_is_written(tmp_path):
    """Every file holds its text in UTF-8, with mode 0600, and nothing else is left in the folder."""
    folder = tmp_path / "deep" / "envoy"
    write(folder, FILES)
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert {name: path.read_text(encoding="utf-8") for name, path in found.items()} == FILES
    assert {mode(path) for path in found.values()} == {0o600}


def test_folders_are_private(tmp_path):
    """Every folder that is made on the way is for this user alone."""
    folder = tmp_path / "envoy"
    write(folder, FILES)
    assert {path.name: oct(mode(path)) for path in (folder, folder / "cds", folder / "rds")} == {
        "envoy": "0o700",
        "cds": "0o700",
        "rds": "0o700",
    }


def test_a_file_is_replaced_not_changed(tmp_path):
    """Whoever reads the old file goes on reading the old text; the name leads to the new one, 0600 again."""
    write(tmp_path, FILES)
    target = tmp_path / "cds/clusters.json"
    target.chmod(0o644)
    with target.open() as old:
        write(tmp_path, {"cds/clusters.json": "new"})
        assert old.read() == "{}\n"
    assert target.read_text() == "new"
    assert mode(target) == 0o600


def test_a_failure_leaves_the_old_file(tmp_path):
    """A text that cannot be written leaves the old file as it was, and nothing new in the folder Envoy watches."""
    write(tmp_path, FILES)
    with pytest.raises(UnicodeEncodeError):
        write(tmp_path, {"cds/clusters.json": "half a text" * 100_000 + "\ud800"})
    assert [path.name for path in (tmp_path / "cds").iterdir()] == ["clusters.json"]
    assert (tmp_path / "cds/clusters.json").read_text() == "{}\n"


def test_a_leftover_is_no_trap(tmp_path):
    """What a crash left beside is overwritten, and its mode does not survive."""
    write(tmp_path, FILES)
    leftover = tmp_path / ".clusters.json.new"
    leftover.write_text("a longer text than the new one, left by a crash")
    leftover.chmod(0o644)
    write(tmp_path, {"cds/clusters.json": "new"})
    assert (tmp_path / "cds/clusters.json").read_text() == "new"
    assert mode(tmp_path / "cds/clusters.json") == 0o600


def test_the_order_is_kept(tmp_path, monkeypatch):
    """Files are put in place in the order given."""
    from pathlib import Path

    placed = []
    replace = Path.replace

    def noted(self, target):
        placed.append(Path(target).relative_to(tmp_path).as_posix())
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    write(tmp_path, FILES)
    assert placed == list(FILES)
