"""A start that cannot succeed says why, ends with 1, and leaves nothing running."""

import signal
import socket
from pathlib import Path

import pytest

from tests.envoy.running import START_SECONDS, eventually, launch

pytestmark = pytest.mark.envoy

GOOD = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: start}
spec:
  match: [{path: /start}]
  models: {m: {url: "http://127.0.0.1:9"}}
  nodes: {root: {split: {routes: [{to: m, weight: 1}]}}}
"""


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def start(folder: Path, *words: str, graphs: str = GOOD, **environment: str) -> tuple[int, str]:
    """Exit code and words of an ``extproc up`` that is to fail."""
    (folder / "graphs.yaml").write_text(graphs)
    arguments = ["up", str(folder / "graphs.yaml"), "--json", "--state", str(folder / "s"), *words]
    with launch(arguments, folder / "said", environment) as process:
        code = process.wait(START_SECONDS)
        assert process.stdout
        assert process.stdout.read() == b""
    assert left_over(folder) == []
    return code, (folder / "said").read_text()


def left_over(folder: Path) -> list[str]:
    """Processes that were started for this folder."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_bytes().replace(b"\0", b" ").decode())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [line for line in lines if str(folder) in line]


def test_the_ingress_port_is_taken(tmp_path, taken):
    """The address is named, and the option that changes it."""
    code, said = start(tmp_path, "--port", str(taken), "--admin", "127.0.0.1:0")
    assert code == 1
    assert f"127.0.0.1:{taken}" in said
    assert "--port" in said
    assert "Traceback" not in said


def test_the_admin_port_is_taken(tmp_path, taken):
    """The same for the admin address."""
    code, said = start(tmp_path, "--port", "0", "--admin", f"127.0.0.1:{taken}")
    assert code == 1
    assert f"127.0.0.1:{taken}" in said
    assert "--admin" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("binary", ["/no/such/envoy", "/bin/false"])
def test_no_envoy(tmp_path, binary):
    """An Envoy that is not there, or is none, is told as that."""
    code, said = start(tmp_path, "--port", "0", "--admin", "127.0.0.1:0", ENVOY_BINARY=binary)
    assert code == 1
    assert "Envoy" in said or "ENVOY_BINARY" in said
    assert "Traceback" not in said


def test_a_broken_graph(tmp_path):
    """Every error of the graphs is told, with its place, before anything starts."""
    code, said = start(tmp_path, graphs=GOOD.replace("to: m", "to: n"))
    assert code == 1
    assert "graphs.yaml:8:" in said
    assert "Traceback" not in said


def test_a_host_that_is_not_ours(tmp_path):
    """An address of another machine cannot be listened on."""
    code, said = start(tmp_path, "--host", "192.0.2.1", "--port", "0", "--admin", "127.0.0.1:0")
    assert code == 1
    assert "192.0.2.1" in said
    assert "Traceback" not in said


async def test_told_to_stop_while_starting(tmp_path):
    """SIGTERM before it is ready ends the start: nothing is told, nothing is left, and that is no failure."""
    (tmp_path / "graphs.yaml").write_text(GOOD)
    state = tmp_path / "s"
    words = ["--json", "--state", str(state), "--port", "0", "--admin", "127.0.0.1:0"]
    with launch(["up", str(tmp_path / "graphs.yaml"), *words], tmp_path / "said", {}) as process:
        await eventually((state / "run" / "envoy" / "bootstrap.json").exists)  # the workers come after it
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_SECONDS) == 0
        assert process.stdout
        assert process.stdout.read() == b""
    assert left_over(tmp_path) == []
    assert (tmp_path / "said").read_text() == ""
