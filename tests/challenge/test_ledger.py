"""The ledger: counts that are there when whoever counted was killed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.challenge.ledger import GROWTH, Count, Entry, Ledger, read

DESCRIPTORS = Path("/proc/self/fd")
ENTRIES = st.lists(
    st.builds(
        Entry,
        st.text("0123456789abcdef", min_size=16, max_size=16),
        st.text("abcé🦀-", min_size=1, max_size=63),
        st.lists(st.text("xyz", min_size=1, max_size=63), min_size=1, max_size=5).map(tuple),
    ),
    max_size=8,
)
QUIET = settings(derandomize=True, deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))

# Counts one challenge after the other, and says after each hundred what it has counted for certain.
CHILD = """
import sys
from pathlib import Path
from extproc.challenge.ledger import Entry, Ledger
ledger = Ledger(Path(sys.argv[1]))
counts = [ledger.open(Entry("%016x" % number, "graph", ("x", "y"))) for number in range(int(sys.argv[2]))]
while True:
    for _ in range(100):
        for count in counts:
            count.add()
    print(counts[-1].value, flush=True)
"""


def numbered(number: int) -> Entry:
    """An entry of some hundred bytes."""
    return Entry(f"{number:016x}", "graph", ("challenger",) * 5)


@pytest.mark.parametrize("challenges", [1, 3, 2000])
def test_a_killed_worker(tmp_path, challenges):
    """After SIGKILL the file says at least what was counted when the worker last said so, and not much more."""
    path = tmp_path / "ledger"
    command = [sys.executable, "-c", CHILD, str(path), str(challenges)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        said = [int(child.stdout.readline()) for _ in range(3)]
        during = read(path)
        child.kill()
        said += [int(line) for line in child.stdout.read().split(b"\n") if line]
    found = read(path)
    assert [entry.challenge for entry, _ in found] == [f"{number:016x}" for number in range(challenges)]
    assert {entry.challengers for entry, _ in found} == {("x", "y")}
    counts = [count for _, count in found]
    assert max(counts) - min(counts) <= 1
    assert said[-1] <= min(counts)
    assert max(counts) <= said[-1] + 2 * 100  # one line may have been on its way
    assert said[2] <= min(count for _, count in during)


@QUIET
@given(ENTRIES, st.data())
def test_what_is_written_is_read(tmp_path_factory, entries, data):
    """Entries come back in order with their counts, while the worker lives and after."""
    path = tmp_path_factory.mktemp("ledger") / "file"
    ledger = Ledger(path)
    counts = [ledger.open(entry) for entry in entries]
    times = [data.draw(st.integers(0, 300)) for _ in entries]
    for count, number in zip(counts, times, strict=True):
        for _ in range(number):
            count.add()
    expected = list(zip(entries, times, strict=True))
    assert read(path) == expected
    assert [count.value for count in counts] == times
    ledger.close()
    assert read(path) == expected


@QUIET
@given(ENTRIES.filter(bool), st.data())
def test_a_half_written_file(tmp_path_factory, entries, data):
    """A file cut anywhere, or with an entry that was never finished, still tells of all before that."""
    path = tmp_path_factory.mktemp("ledger") / "file"
    ledger = Ledger(path)
    ends = []
    for entry in entries:
        ledger.open(entry).add()
        ends.append(ledger._end)
    ledger.close()
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, ends[-1]))
    path.write_bytes(whole[:cut])
    assert read(path) == [(entry, 1) for entry, end in zip(entries, ends, strict=True) if end <= cut]
    last = ends[-2] if len(ends) > 1 else 0
    for missing in (whole[:last] + bytes(len(whole) - last), whole[: last + 16] + bytes(len(whole) - last - 16)):
        path.write_bytes(missing)
        assert read(path) == [(entry, 1) for entry in entries[:-1]]


@QUIET
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path_factory, content):
    """A file of anything is read without an error."""
    path = tmp_path_factory.mktemp("ledger") / "file"
    path.write_bytes(content)
    assert all(isinstance(entry, Entry) for entry, _ in read(path))


@pytest.mark.parametrize("where", ["file", "memory"])
def test_growing(tmp_path, where):
    """More challenges than fit at first enlarge it, and counts that were open go on counting where they are."""
    path = tmp_path / "ledger"
    ledger = Ledger(path if where == "file" else None)
    first = ledger.open(numbered(0))
    counts = [ledger.open(numbered(number)) for number in range(1, 2000)]
    for count in (first, *counts, first):
        count.add()
    assert len(ledger._map) > GROWTH
    assert (first.value, counts[-1].value) == (2, 1)
    if where == "file":
        assert [count for _, count in read(path)] == [2] + [1] * 1999
        assert path.stat().st_blocks * 512 >= path.stat().st_size, "a hole: who writes there on a full disk is killed"
    ledger.close()


def test_large_counts(tmp_path):
    """A count is as large as eight bytes hold."""
    ledger = Ledger(tmp_path / "ledger")
    count = ledger.open(numbered(0))
    count.value = 2**64 - 2
    count.add()
    assert read(tmp_path / "ledger") == [(numbered(0), 2**64 - 1)]
    ledger.close()


def test_the_file_is_private_and_new(tmp_path):
    """It is for this user alone, and another worker's file is never written over."""
    path = tmp_path / "ledger"
    ledger = Ledger(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        Ledger(path)
    ledger.close()


def test_no_descriptor_is_left(tmp_path):
    """Closing gives the file's descriptor back."""
    before = len(list(DESCRIPTORS.iterdir()))
    ledger = Ledger(tmp_path / "ledger")
    ledger.open(numbered(0))
    ledger.close()
    assert len(list(DESCRIPTORS.iterdir())) == before


def full(*_arguments: int) -> None:
    """Allocate nothing."""
    raise OSError(28, "No space left on device")


def test_a_full_disk(tmp_path, monkeypatch, caplog):
    """Where the disk has no room for more, what has a place in the file goes on there, and the rest counts in memory."""
    path = tmp_path / "ledger"
    ledger = Ledger(path)
    counts = [ledger.open(numbered(number)) for number in range(100)]
    monkeypatch.setattr(os, "posix_fallocate", full)
    counts += [ledger.open(numbered(number)) for number in range(100, 2000)]
    for count in counts:
        count.add()
    assert {count.value for count in counts} == {1}
    found = read(path)
    assert [count for _, count in found] == [1] * len(found)
    assert 100 < len(found) < 2000
    assert "No space left on device" in caplog.text
    ledger.close()


def test_a_disk_that_was_full_before(tmp_path, monkeypatch, caplog):
    """A worker starts and counts all the same; its file says nothing."""
    monkeypatch.setattr(os, "posix_fallocate", full)
    ledger = Ledger(tmp_path / "ledger")
    counts = [ledger.open(numbered(number)) for number in range(1000)]
    for count in counts:
        count.add()
    assert {count.value for count in counts} == {1}
    assert read(tmp_path / "ledger") == []
    assert "No space left on device" in caplog.text
    ledger.close()


def test_repr_says_the_state(tmp_path):
    """A ledger says where it is and how much is in it."""
    path: Path = tmp_path / "ledger"
    ledger = Ledger(path)
    count: Count = ledger.open(Entry("k", "g", ("x",)))
    count.add()
    assert repr(ledger).startswith(f"<Ledger {path} ")
    assert repr(ledger).endswith(" bytes>")
    assert repr(Ledger()) == "<Ledger in memory 0 bytes>"
    assert repr(count) == "<Count 1>"
    ledger.close()
