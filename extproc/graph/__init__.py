"""The graph language: types, loading with positions, checks, schema, drawing."""

from extproc.graph.graph import Graph, load_raw
from extproc.graph.load import Loading, load
from extproc.graph.problems import Problem
from extproc.graph.walk import Branch, Place, branch_name, children, flatten, kind_of, places

__all__ = [
    "Branch",
    "Graph",
    "Loading",
    "Place",
    "Problem",
    "branch_name",
    "children",
    "flatten",
    "kind_of",
    "load",
    "load_raw",
    "places",
]
