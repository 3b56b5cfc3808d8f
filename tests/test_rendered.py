"""``envoy/`` holds what ``make rendered`` writes for the sample graphs."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from extproc.cli import main

ROOT = Path(__file__).parent.parent


def rendering() -> tuple[dict[str, str], list[str]]:
    """What ``make rendered`` runs: its variables, and the arguments of ``extproc``."""
    recipe = re.search(r"^rendered:.*\n((?:\t.*\n|  .*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    words = shlex.split(recipe[1].replace("\\\n", " "))
    at = words.index("$(BIN)/extproc")
    assert words[:2] == ["env", "-i"], "no variable of the one who makes it goes in"
    return dict(word.split("=", 1) for word in words[2:at]), words[at + 1 :]


def test_the_rendered_configuration_is_that_of_the_sample_graphs(tmp_path, monkeypatch):
    """A change of graphs or of the builder comes with a fresh ``envoy/``: run ``make rendered``."""
    variables, arguments = rendering()
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name in variables.keys() - {"PATH"}:
        monkeypatch.setenv(name, variables[name])
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path) if word == "envoy" else word for word in arguments])
    assert ended.value.code == 0
    fresh = {file.relative_to(tmp_path): file.read_text() for file in tmp_path.rglob("*.json")}
    kept = {file.relative_to(ROOT / "envoy"): file.read_text() for file in (ROOT / "envoy").rglob("*.json")}
    assert kept == fresh


def test_the_proto_is_the_one_that_was_generated(tmp_path):
    """``extproc/wire`` holds what ``make proto`` generates from its .proto."""
    import grpc_tools
    from grpc_tools import protoc

    known = Path(grpc_tools.__file__).parent / "_proto"
    source = "extproc/wire/ext_proc.proto"
    assert (
        protoc.main(["protoc", f"-I{ROOT}", f"-I{known}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", source])
        == 0
    )
    for name in ("ext_proc_pb2.py", "ext_proc_pb2.pyi"):
        assert (tmp_path / "extproc/wire" / name).read_text() == (ROOT / "extproc/wire" / name).read_text()
