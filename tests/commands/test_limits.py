"""``--limit NAME=VALUE``."""

from dataclasses import asdict, fields

import pytest

from extproc.challenge.limits import Limits
from extproc.challenge.store.limits import Limits as StoreLimits
from extproc.commands.limits import LEAST, MOST, NAMES, limits


def test_none():
    """Without the option the defaults hold."""
    assert limits([]) == (Limits(), StoreLimits())


@pytest.mark.parametrize("name", NAMES)
def test_each(name: str):
    """Every limit of both can be set, and the others stay as they are."""
    challenge, store = limits([f"{name}=7777"])
    found = {f"challenge.{key}": value for key, value in asdict(challenge).items()}
    found |= {f"store.{key}": value for key, value in asdict(store).items()}
    wanted = {f"challenge.{field.name}": field.default for field in fields(Limits)}
    wanted |= {f"store.{field.name}": field.default for field in fields(StoreLimits)}
    assert found == wanted | {name: 7777}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1", 1),
        ("0", 0),
        ("007", 7),
        ("2KiB", 2048),
        ("3MiB", 3 * 1024 * 1024),
        ("1GiB", 2**30),
        ("90s", 90),
        ("5m", 300),
        ("2h", 7200),
        ("30d", 30 * 86_400),
        (str(MOST), MOST),
    ],
)
def test_values(value: str, number: int):
    """Whole numbers, sizes and times are taken; times are seconds."""
    assert limits([f"challenge.memory={value}"])[0].memory == number


def test_the_last_one_counts():
    """What is given twice is what was given last."""
    assert limits(["challenge.queue=1", "challenge.queue=2"])[0].queue == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("challenge.concurency=1", "no limit is named 'challenge.concurency'; did you mean \"challenge.concurrency\"?"),
        ("memory=1", "no limit is named 'memory'"),
        ("=1", "no limit is named ''"),
        ("", "no limit is named ''"),
        ("challenge.memory", "expected a whole number, like 128, 64MiB or 30d"),
        ("challenge.memory=", "expected a whole number"),
        ("challenge.memory=-1", "expected a whole number"),
        ("challenge.memory=1.5", "expected a whole number"),
        ("challenge.memory=1 ", "expected a whole number"),
        ("challenge.memory=1MB", "expected a whole number"),
        ("challenge.memory=\u0661", "expected a whole number"),
        ("challenge.memory=" + "9" * 5000, "expected a whole number"),
        (f"challenge.memory={MOST + 1}", f"expected 0 to {MOST}"),
        ("store.record_age=999999999999999d", f"expected 0 to {MOST}"),
        ("challenge.concurrency=0", f"expected 1 to {MOST}"),
        ("store.points=1", f"expected 2 to {MOST}"),
        ("store.silence=10s", f"expected 300 to {MOST}"),
    ],
)
def test_what_is_none(text: str, told: str, capsys: pytest.CaptureFixture[str]):
    """The command is called wrongly then: it ends with 2, and one line that says which and what is expected."""
    with pytest.raises(SystemExit) as ended:
        limits(["challenge.queue=3", text])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"--limit {text!r}: ")
    assert told in line


def test_what_has_a_least_value_is_a_limit():
    """No least value is of a name that is none."""
    assert set(LEAST) <= set(NAMES)
