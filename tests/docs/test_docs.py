"""What the documents say is so: documents load, commands print what is shown, links lead somewhere."""

import io
import re
import subprocess
import xml.etree.ElementTree as ET
from contextlib import redirect_stderr, redirect_stdout

import pytest

from extproc import cli
from extproc.envoy.binary import find_envoy
from extproc.graph import load
from extproc.graph.drawing import draw
from extproc.plan.compile import compile_graph
from tests.docs.documents import PAGES, ROOT, Block, Command, anchors, blocks, commands, links, prose

BLOCKS = [block for page in PAGES for block in blocks(page)]
GRAPHS = [block for block in BLOCKS if block.is_graph]
CONSOLES = [block for block in BLOCKS if block.language == "console"]
RUN = [command for block in CONSOLES if "run" in block.words for command in commands(block)]
TYPED = [command for block in CONSOLES if "run" not in block.words for command in commands(block)]
LINKS = [(page, link) for page in PAGES for link in links(page)]
CODES = re.compile(r'(?:\b[1-5][0-9]{2}|None), "([a-z_]+)",|"code": "([a-z_]+)"')


def test_there_is_something_to_check():
    """The pages hold what the other tests look for."""
    assert len(GRAPHS) > 10
    assert len(RUN) > 5
    assert len(TYPED) > 5
    assert len(LINKS) > 10


@pytest.mark.parametrize("block", GRAPHS, ids=str)
def test_a_document_loads(block: Block, tmp_path):
    """A complete document has neither errors nor warnings, and compiles to a plan; a broken one has errors."""
    file = tmp_path / "graph.yaml"
    file.write_text(block.text, encoding="utf-8")
    loading = load([file])
    if block.broken:
        assert loading.errors
        return
    assert loading.problems == ()
    for graph in loading.graphs:
        assert compile_graph(graph).graph == graph.name


@pytest.mark.parametrize("command", TYPED, ids=str)
def test_a_command_is_one(command: Command):
    """The command line takes every command that is shown."""
    parser = cli._parser(command.words[0])
    options = parser.parse_args(list(command.words))
    assert callable(options.run)


@pytest.mark.parametrize("command", RUN, ids=str)
def test_a_command_prints_what_is_shown(command: Command, tmp_path, monkeypatch):
    """A command run beside the page's documents and the sample graphs prints what the page shows."""
    page = command.place.partition(":")[0]
    for block in blocks(page):
        if block.is_graph and block.name:
            (tmp_path / block.name).write_text(block.text, encoding="utf-8")
    (tmp_path / "graphs").symlink_to(ROOT / "graphs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(command.fed.encode())))
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit):
        cli.main(list(command.words))
    assert said.getvalue().rstrip() == command.shown.rstrip()


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_somewhere(page, link):
    """A relative link leads to a file that is there, and to a heading in it."""
    path, _, anchor = link.partition("#")
    target = (PAGES[page].parent / path).resolve() if path else PAGES[page]
    assert target.exists()
    if anchor:
        assert anchor in anchors(target)


@pytest.mark.parametrize("name", ["digits-switch.svg", "architecture.svg"])
def test_a_picture_is_for_light_and_dark(name):
    """A picture is well-formed, says what it shows, and has colours for both."""
    text = (ROOT / "docs/images" / name).read_text(encoding="utf-8")
    root = ET.fromstring(text)  # noqa: S314 - a file of our own
    assert root.find("{http://www.w3.org/2000/svg}title") is not None
    assert "prefers-color-scheme: dark" in text


def test_the_picture_of_a_graph_is_its_picture():
    """It is what ``extproc draw graphs/digits-switch.yaml --format svg --out docs/images/digits-switch.svg`` writes."""
    (graph,) = load([ROOT / "graphs/digits-switch.yaml"]).graphs
    assert (ROOT / "docs/images/digits-switch.svg").read_text(encoding="utf-8") == draw(graph, "svg")


def test_every_error_code_is_documented():
    """The codes in docs/errors.md are those that the processor and Envoy's configuration make."""
    sources = [path for room in ("engine", "envoy", "exchange") for path in (ROOT / "extproc" / room).rglob("*.py")]
    made = {first or second for path in sources for first, second in CODES.findall(path.read_text(encoding="utf-8"))}
    told = set(re.findall(r"^\| [0-9x]+ \| `([a-z_]+)` \|", prose("docs/errors.md"), re.MULTILINE))
    assert told == made


LIMITS = re.findall(r"^\| `([a-z_0-9/]+\.py)` `(\w+)` \|", prose("docs/operations.md"), re.MULTILINE)


def test_there_are_limits():
    """The table of limits is where the next test looks for it."""
    assert len(LIMITS) > 20


@pytest.mark.parametrize(("file", "name"), LIMITS)
def test_a_limit_is_in_the_code(file, name):
    """A limit that the table names is one of that file's constants."""
    source = (ROOT / "extproc" / file).read_text(encoding="utf-8")
    assert re.search(rf"^{name}\b.* = ", source, re.MULTILINE)


@pytest.mark.envoy
@pytest.mark.parametrize("block", [block for block in BLOCKS if block.name == "envoy.yaml"], ids=str)
def test_envoy_takes_the_configuration(block: Block, tmp_path):
    """An Envoy configuration that is shown is one that Envoy takes."""
    file = tmp_path / "envoy.yaml"
    file.write_text(block.text, encoding="utf-8")
    ended = subprocess.run(
        [find_envoy(), "--mode", "validate", "-c", file], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
