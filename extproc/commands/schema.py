"""``extproc schema``: the JSON Schema of the graph language, for editors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from extproc.graph.schema import schema

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXAMPLES = """\
examples:
  extproc schema > inference-graph.schema.json
  # first line of a graph file, for editors with the YAML language server:
  # yaml-language-server: $schema=inference-graph.schema.json
"""


def arguments(_parser: ArgumentParser) -> None:
    """Add this command's arguments: none."""


def run(_options: Namespace) -> int:
    """Print the schema."""
    print(json.dumps(schema(), indent=2))
    return 0
