"""``envoy/`` holds what ``make rendered`` writes for the sample graphs."""

from __future__ import annotations

from pathlib import Path

import pytest

from extproc.cli import main

ROOT = Path(__file__).parent.parent


def test_the_rendered_configuration_is_that_of_the_sample_graphs(tmp_path):
    """A change of graphs or of the builder comes with a fresh ``envoy/``: run ``make rendered``."""
    with pytest.raises(SystemExit) as ended:
        main(["config", str(ROOT / "graphs"), "--out", str(tmp_path), "--mounted-at", "/etc/envoy"])
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
