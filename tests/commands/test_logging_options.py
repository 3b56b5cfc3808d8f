"""``--log-format``, ``--log-level`` and ``--access-log``."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from extproc.cli import _parser
from extproc.commands.logging_options import access_log, add_access_log, add_logging
from extproc.telemetry.logs import FORM_VARIABLE, LEVEL_VARIABLE

GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: logged}
spec:
  match: [{path: /logged}]
  models: {m: {url: "http://127.0.0.1:9"}}
  nodes: {root: {split: {routes: [{to: m, weight: 1}]}}}
"""


@pytest.fixture(autouse=True)
def _said_nothing(monkeypatch):
    """The environment of whoever runs the tests does not count."""
    monkeypatch.delenv(FORM_VARIABLE, raising=False)
    monkeypatch.delenv(LEVEL_VARIABLE, raising=False)


def parsed(*words: str) -> argparse.Namespace:
    """The options of a command that has all of them."""
    parser = argparse.ArgumentParser()
    add_logging(parser)
    add_access_log(parser)
    return parser.parse_args(words)


def how(options: argparse.Namespace) -> tuple[str, str]:
    return options.log_format, options.log_level


def test_by_default():
    """Warnings, as text, and no access log."""
    options = parsed()
    assert how(options) == ("text", "warning")
    assert access_log(options) is None


def test_the_environment_says_it_and_options_say_it_better(monkeypatch):
    """So that a container can set it, and a hand can override it; an empty variable says nothing."""
    monkeypatch.setenv(FORM_VARIABLE, "json")
    monkeypatch.setenv(LEVEL_VARIABLE, "info")
    assert how(parsed()) == ("json", "info")
    assert how(parsed("--log-format", "text", "--log-level", "error")) == ("text", "error")
    monkeypatch.setenv(FORM_VARIABLE, "")
    monkeypatch.setenv(LEVEL_VARIABLE, "")
    assert how(parsed()) == ("text", "warning")


@pytest.mark.parametrize("words", [["--log-format", "xml"], ["--log-level", "loud"], ["--log-level", ""]])
def test_what_is_none_of_them(words, capsys):
    """Exit code 2, with what there is."""
    with pytest.raises(SystemExit, match="2"):
        parsed(*words)
    assert "is none of " in capsys.readouterr().err


def test_an_environment_that_says_none_of_them(monkeypatch, capsys):
    """The same for the environment, naming the option that would override it."""
    monkeypatch.setenv(FORM_VARIABLE, "xml")
    with pytest.raises(SystemExit, match="2"):
        parsed()
    assert "--log-format: 'xml' is none of text, json" in capsys.readouterr().err


def test_where_the_access_log_goes(monkeypatch, tmp_path):
    """A file, whose path Envoy understands wherever it runs, or its standard output."""
    monkeypatch.chdir(tmp_path)
    assert access_log(parsed("--access-log", "-")) == "/dev/stdout"
    assert access_log(parsed("--access-log", "logs/a.json")) == str(tmp_path / "logs" / "a.json")
    assert access_log(parsed("--access-log", "/var/log/a.json")) == "/var/log/a.json"
    assert access_log(parsed("--access-log", "")) is None


@pytest.mark.parametrize("command", ["up", "serve", "demo"])
def test_commands_that_log(command):
    """All that serve take the options of logs."""
    words = [command, *(["graphs/"] if command != "demo" else []), "--log-format", "json", "--log-level", "info"]
    assert how(_parser(command).parse_args(words)) == ("json", "info")


def test_config_writes_it_for_both_listeners(tmp_path):
    """And nothing of it by default."""
    graph = tmp_path / "graph.yaml"
    graph.write_text(GRAPH)
    assert _configured(graph, tmp_path / "without").count("envoy.access_loggers.file") == 0
    listeners = _configured(graph, tmp_path / "with", "--access-log", "-")
    assert listeners.count("envoy.access_loggers.file") == 2
    assert listeners.count('"/dev/stdout"') == 2


def _configured(graph: Path, out: Path, *words: str) -> str:
    command = [sys.executable, "-m", "extproc.cli", "config", str(graph), "--out", str(out), *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ, timeout=60)
    return (out / "lds" / "listeners.json").read_text()
