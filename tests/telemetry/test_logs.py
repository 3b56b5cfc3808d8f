"""Logs: one record is one line whatever it holds, and nobody waits for whoever reads them."""

import fcntl
import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from extproc.telemetry.lines import Lines
from extproc.telemetry.logs import MAX_TRACE, Json, Text, printable

CORE = ["time", "level", "process", "pid", "logger", "message"]
PIPE = 4096  # bytes: the least that a pipe can hold
# What forges a line, or steers a terminal: line ends, escapes, C1 controls, directions, what is no Unicode.
HOSTILE = "a\r\nb\x1b[31m\x00\x7f\x85\x9b\u2028\u2029\u202e\U000e0001\ud800c"
ANY_TEXT = st.text(st.characters(codec=None))  # lone surrogates too


def record(message: object = "hello", *arguments: object, **fields: object) -> logging.LogRecord:
    """A warning."""
    made = logging.LogRecord("extproc.test", logging.WARNING, __file__, 1, message, arguments, None)
    vars(made).update(fields)
    return made


def raised(text: str, cause: BaseException | None = None) -> logging.LogRecord:
    """An error's record, with its traceback."""
    error = ValueError(text)
    error.__cause__ = cause
    made = record("it failed")
    made.exc_info = (ValueError, error, None)
    return made


def as_json(made: logging.LogRecord) -> dict[str, object]:
    """A record as it is read back, after a look that it is on one line and is strict JSON."""
    line = Json("worker").format(made)
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    said = json.loads(line.encode(), parse_constant=pytest.fail)
    assert isinstance(said, dict)
    return said


# --- JSON


def test_json_has_the_same_keys_in_every_record():
    """Time in UTC with milliseconds, level, process, logger and message."""
    made = record("%d workers", 3)
    said = as_json(made)
    assert list(said) == CORE
    assert (said["level"], said["process"], said["logger"]) == ("warning", "worker", "extproc.test")
    assert (said["pid"], said["message"]) == (os.getpid(), "3 workers")
    assert str(said["time"]).endswith("Z")
    assert datetime.fromisoformat(str(said["time"])).timestamp() == pytest.approx(made.created, abs=0.002)


def test_json_has_the_fields_a_record_was_given():
    """As what they are, behind the keys that all have, which they cannot take."""
    said = as_json(record(graph="fraud", status=502, ratio=0.5, gone=None, process="forged", time="forged"))
    assert list(said)[len(CORE) :] == ["graph", "status", "ratio", "gone"]
    assert (said["graph"], said["status"], said["ratio"], said["gone"]) == ("fraud", 502, 0.5, None)
    assert said["time"] != "forged"
    assert said["process"] == "worker"


def test_json_has_a_traceback_in_a_string():
    """With its line ends, causes and all."""
    said = as_json(raised("broken", KeyError("the cause")))
    assert said["message"] == "it failed"
    trace = str(said["exception"])
    assert trace.startswith("KeyError: 'the cause'\n")
    assert trace.endswith("\nValueError: broken")


@given(ANY_TEXT, ANY_TEXT)
@example(HOSTILE, "plain")
@example("plain", HOSTILE)
def test_json_of_any_text_is_one_line(message, field):
    """Nothing ends the line, and what is Unicode comes back as it was."""
    said = as_json(record("%s", message, field=field))
    assert len(said) == len(CORE) + 1
    for wrote, read in ((message, said["message"]), (field, said["field"])):
        try:
            wrote.encode()
        except UnicodeEncodeError:
            assert isinstance(read, str)
            continue
        assert read in {wrote, printable(wrote)}  # escaped where the other text is no Unicode


class Odd:
    """What JSON does not know."""

    def __repr__(self):
        return "<odd\n>"


@pytest.mark.parametrize("value", [Odd(), float("nan"), float("inf"), b"\xff", {1, 2}, {(1, 2): 3}, 2**80, Exception])
def test_json_of_any_field(value):
    """A field of any kind is written somehow."""
    said = as_json(record(field=value, other=1))
    assert "field" in said
    assert str(said["other"]) == "1"


def test_json_of_a_field_without_end():
    """A list that holds itself is written as text."""
    endless: list[object] = []
    endless.append(endless)
    assert "[...]" in str(as_json(record(field=endless))["field"])


# --- text


def test_text_is_a_line():
    """Time, process, level, message."""
    line = Text("worker").format(record("%d workers", 3, graph="fraud"))
    moment, process, pid, level, message = line.split(" ", 4)
    assert datetime.fromisoformat(moment).utcoffset() is not None
    assert (process, pid, level, message) == ("worker", str(os.getpid()), "WARNING", "3 workers")


@given(ANY_TEXT)
@example(HOSTILE)
def test_text_of_any_text_is_one_line(message):
    """Nothing in a message ends the line or steers a terminal."""
    line = Text("worker").format(record("%s", message))
    assert line.isprintable()
    assert len(line.splitlines()) == 1


@given(ANY_TEXT)
@example(HOSTILE)
def test_text_of_any_traceback_is_indented(message):
    """No line of an error's own text can pass for a record."""
    first, *others = Text("worker").format(raised(message, KeyError(message))).split("\n")
    assert first.endswith(" worker " + str(os.getpid()) + " WARNING it failed")
    assert others
    assert all(line.startswith("    ") and line.isprintable() for line in others)


def test_hostile_text_is_readable():
    """Escapes say what was there."""
    expected = r"a\r\nb\x1b[31m\x00\x7f\x85\x9b\u2028\u2029\u202e\U000e0001\ud800c"
    assert printable(HOSTILE) == expected
    assert printable("größer → 值") == "größer → 值"


@pytest.mark.parametrize("form", [Text, Json])
def test_arguments_that_do_not_fit(form):
    """A record that cannot be put together is told all the same."""
    line = form("serve").format(record("%d of %d", "one\n"))
    assert len(line.splitlines()) == 1
    assert "%d of %d ('one" in line


@pytest.mark.parametrize("form", [Text, Json])
def test_a_long_traceback_ends_where_it_happened(form):
    """Its end is kept."""
    line = form("serve").format(raised("x" * 3 * MAX_TRACE + "the end"))
    assert len(line) < 2 * MAX_TRACE
    assert "the end" in line


# --- nobody waits


@pytest.fixture
def pipe():
    """A pipe that holds little; both its ends."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE)
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            continue


def lines_to(writer: int, room: int) -> Lines:
    """A handler that writes what a record says."""
    handler = Lines(writer, room)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def read_some(reader: int) -> bytes:
    """What is there, or comes soon."""
    waiting = select.poll()
    waiting.register(reader, select.POLLIN)
    assert waiting.poll(15_000), "nothing was written"
    return os.read(reader, 65536)


def read_until(reader: int, end: bytes) -> list[str]:
    """The lines up to one that ends so."""
    came = b""
    while not came.endswith(end + b"\n"):
        came += read_some(reader)
    return came.decode().splitlines()


def test_nobody_reads_and_nobody_waits(pipe):
    """With a full pipe logging goes on at once; what finds no room is counted, and told to who reads then."""
    reader, writer = pipe
    handler = lines_to(writer, room=2000)
    began = time.monotonic()
    for number in range(5000):
        handler.handle(record("%s", f"line {number}"))
    assert time.monotonic() - began < 5
    missing = handler.dropped
    assert 4000 < missing < 5000
    came = b""
    while came.count(b"line ") < 5000 - missing:
        came += read_some(reader)
    handler.handle(record("the end"))
    lines = came.decode().splitlines() + read_until(reader, b"the end")
    numbers = [int(line.split()[1]) for line in lines if line.startswith("line ")]
    assert numbers == sorted(set(numbers))
    assert sum(int(line.split()[0]) for line in lines if "log lines are missing here" in line) == missing
    assert lines[-1] == "the end"
    assert handler.dropped == missing
    handler.close()


def test_whole_lines_in_their_order(pipe):
    """Lines longer than the pipe come whole, and those of several threads are not mixed."""
    reader, writer = pipe
    handler = lines_to(writer, room=10**7)
    texts = {name: name * PIPE * 2 for name in "abcd"}

    def log(text: str) -> None:
        for _ in range(5):
            handler.handle(record(text))

    threads = [threading.Thread(target=log, args=(text,)) for text in texts.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.handle(record("the end"))
    came = read_until(reader, b"the end")
    assert sorted(came[:-1]) == sorted(list(texts.values()) * 5)
    assert handler.dropped == 0
    handler.close()


def test_a_reader_that_is_gone(pipe):
    """Every line counts as dropped, and nothing is raised."""
    reader, writer = pipe
    os.close(reader)
    handler = lines_to(writer, room=1000)
    for _ in range(3):
        handler.handle(record())
    handler.close()
    assert handler.dropped == 3


def test_a_descriptor_that_does_not_block(pipe):
    """Another process may have made it so: lines still come whole."""
    reader, writer = pipe
    os.set_blocking(writer, False)
    handler = lines_to(writer, room=10**6)
    for number in range(20):
        handler.handle(record("%s", f"{number} " + "x" * PIPE))
    handler.handle(record("the end"))
    assert [line.split()[0] for line in read_until(reader, b"the end")] == [*map(str, range(20)), "the"]
    assert handler.dropped == 0
    handler.close()


class Unsayable:
    """What cannot even be said."""

    def __str__(self):
        raise ValueError


def test_a_record_that_cannot_be_formatted(pipe):
    """It counts as dropped; who logs it does not notice."""
    handler = Lines(pipe[1])
    handler.setFormatter(Text("serve"))
    handler.handle(record(Unsayable()))
    assert handler.dropped == 1
    handler.close()


def test_the_end_waits_for_a_reader_but_not_for_ever(pipe):
    """What waits is written at the end, unless nobody reads it within a second."""
    reader, writer = pipe
    handler = lines_to(writer, room=10**6)
    handler.handle(record("%s", "x" * 100))
    handler.close()
    assert os.read(reader, 1000) == b"x" * 100 + b"\n"
    stuck = lines_to(writer, room=10**6)
    stuck.handle(record("%s", "x" * 10 * PIPE))
    began = time.monotonic()
    stuck.close()
    assert 0.5 < time.monotonic() - began < 5
    os.close(reader)
    assert stuck._writer
    stuck._writer.join()  # before anybody else gets its descriptor


# --- a process


def run(code: str, *, status: int = 0, **environment: str) -> list[str]:
    """The lines that a process of its own says on standard error."""
    words = [sys.executable, "-c", "import logging\nfrom extproc.telemetry.logs import *\n" + code]
    done = subprocess.run(
        words, capture_output=True, env={**os.environ, **environment}, timeout=60, check=False, text=True
    )
    assert done.returncode == status
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_all_that_a_process_says_is_json():
    """Records of any library, warnings, and what ended it."""
    code = """
configure("json", "info", "serve")
logging.getLogger("other").info("one", extra={"graph": "fraud"})
logging.debug("not this")
import warnings
warnings.warn("careful", UserWarning)
raise KeyError("over")
"""
    said = [json.loads(line) for line in run(code, status=1)]
    assert [(one["logger"], one["level"]) for one in said] == [
        ("other", "info"),
        ("py.warnings", "warning"),
        ("extproc.telemetry.logs", "critical"),
    ]
    assert said[0]["graph"] == "fraud"
    assert "careful" in said[1]["message"]
    assert said[2]["exception"].endswith("KeyError: 'over'")


def test_configured_again():
    """The last word counts, and nothing is said twice."""
    code = 'configure("text", "error", "serve")\nconfigure("json", "warning", "worker")\nlogging.warning("once")'
    said = run(code)
    assert [json.loads(line)["process"] for line in said] == ["worker"]


@pytest.mark.parametrize(
    ("environment", "lines"),
    [
        ({}, ["WARNING", "ERROR"]),
        ({"EXTPROC_LOG_LEVEL": "error"}, ["ERROR"]),
        ({"EXTPROC_LOG_LEVEL": "debug"}, ["DEBUG", "WARNING", "ERROR"]),
        ({"EXTPROC_LOG_LEVEL": "loud", "EXTPROC_LOG_FORMAT": "xml"}, ["WARNING", "ERROR"]),
    ],
)
def test_as_the_environment_says(environment, lines):
    """A worker does what its supervisor was told, and what is by default where it understands nothing."""
    code = 'configure_as_told("worker")\nlog.debug("a")\nlog.warning("b")\nlog.error("c")'
    assert [line.split()[3] for line in run(code, **environment)] == lines
    said = run(code, **(environment | {"EXTPROC_LOG_FORMAT": "json"}))
    assert [json.loads(line)["level"].upper() for line in said] == lines


def test_a_process_whose_standard_error_nobody_reads(pipe):
    """It logs thousands of lines, knows how many are lost, and ends."""
    code = """
import logging
from extproc.telemetry.logs import configure, dropped
configure("json", "warning", "worker")
for number in range(5000):
    logging.warning("%s", "x" * 200)
print(dropped())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=pipe[1], timeout=60, check=True, text=True
    )
    assert 3000 < int(done.stdout) < 5000
