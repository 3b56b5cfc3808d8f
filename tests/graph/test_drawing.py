"""Pictures: everything is in them, nothing breaks out of them, nothing lies on anything else."""

import re
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest

from extproc.graph import load
from extproc.graph.drawing import draw
from extproc.graph.drawing.layers import crossings, layers
from extproc.graph.drawing.picture import Arrow, Box, Picture, picture
from extproc.graph.drawing.placing import place
from tests.graph.samples import HEAD, VALID, loaded

GRAPHS = [graph for file in VALID for graph in load([file]).graphs]
NASTY = """  models:
    m: {cluster: 'a<b>&"c]]>'}
  nodes:
    root:
      switch:
        cases:
          - {name: x, to: m, when: 'request.path == "</svg><script>|]}" && "-->" != "#quot;" && request.host == "日本語"'}
          - {name: y, to: {respond: {status: 200}}, when: 'true'}
"""


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
def test_mermaid_holds_every_box_and_arrow(graph):
    """One line each, labels quoted."""
    drawn = picture(graph)
    lines = draw(graph).splitlines()
    assert lines[0] == "flowchart LR"
    assert sum(bool(re.match(r"  n\d+[^ ]*\".*\"[^ ]*:::\w+$", line)) for line in lines) == len(drawn.boxes)
    assert sum(bool(re.match(r'  n\d+ -\.?->(\|"[^"|]+"\|)? n\d+$', line)) for line in lines) == len(drawn.arrows)


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
def test_svg_is_xml_with_every_name_in_it(graph):
    """Readable by machines and screen readers."""
    text = draw(graph, "svg")
    root = ET.fromstring(text)  # noqa: S314 - our own text
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == f"Inference graph {graph.id}"
    for box in picture(graph).boxes:
        assert any(title and title.startswith(box.title) for title in titles)


def test_a_fraud_graph_in_mermaid():
    """Shares in per cent, models as another shape."""
    (graph,) = (graph for graph in GRAPHS if graph.name == "fraud")
    assert '  n1 -->|"canary 10%"| n3' in draw(graph).splitlines()
    assert '  n2[("<b>fraud-v1</b>' in draw(graph)


def test_nothing_breaks_out(tmp_path):
    """Whatever an expression holds is text in the picture."""
    (graph,) = loaded(tmp_path, HEAD + NASTY).graphs
    text = draw(graph, "svg")
    ET.fromstring(text)  # noqa: S314 - our own text
    assert "<script" not in text
    labels = re.findall(r'\|"(.*?)"\|', draw(graph))
    assert labels
    assert all(re.fullmatch(r"(#\d+;|[^\"#<>|\[\]{}&`\\])*", label) for label in labels)


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
def test_no_box_lies_on_another_and_no_label_on_a_box(graph):
    """Columns and rows keep their distance, and arrows go right."""
    placed = place(picture(graph))
    for one, other in combinations(placed.boxes, 2):
        apart = one.x + one.width < other.x or other.x + other.width < one.x
        assert apart or one.y + one.height < other.y or other.y + other.height < one.y
    for box in placed.boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= placed.width
        assert box.y + box.height <= placed.height
    for line in placed.lines:
        for start, knee, end, *_ in line.points:
            assert start <= knee < end


def test_layers_avoid_crossings():
    """Two arrows written crosswise are uncrossed."""
    boxes = tuple(Box(name, "model", name) for name in "sabxy")
    arrows = (Arrow("s", "a"), Arrow("s", "b"), Arrow("a", "y"), Arrow("b", "x"), Arrow("s", "x"))
    made = layers(Picture("t", boxes, arrows))
    assert [len(row) for row in made.rows] == [1, 3, 2]
    assert crossings(made) == 0
