"""Any report at all: a Hypothesis strategy made from the document's own types."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from extproc.challenge.document import Bar, Confusion, Point, Report

# Documents are large: to shrink one takes minutes, and what is wrong shows without.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
BRIEFLY = settings(max_examples=30, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
PYTHONS = ("None", "nan", "inf")  # how a missing figure would be seen; Hypothesis tries them as texts too
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda text: text not in PYTHONS)
NUMBERS = st.floats(-1e12, 1e12) | st.sampled_from([0.0, 1.0, 0.5, 1e-12, 5e-324])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def confusions(draw: st.DrawFn) -> Confusion:
    """A square of counts, one row for each label."""
    labels = draw(st.lists(TEXTS, max_size=3))
    cells = tuple(tuple(draw(st.integers(0, 9)) for _ in labels) for _ in labels)
    return Confusion(labels=tuple(labels), cells=cells, other=draw(st.integers(0, 9)))


@st.composite
def bars(draw: st.DrawFn) -> tuple[Bar, ...]:
    """Bars from edge to edge."""
    edges = sorted(draw(st.lists(NUMBERS, max_size=5, unique=True)))
    return tuple((low, high, draw(st.integers(0, 9))) for low, high in pairwise(edges))


def strategy(wanted: Any) -> st.SearchStrategy[Any]:
    """Values of a type of the document."""
    special: dict[Any, st.SearchStrategy[Any]] = {
        Any: JSON,
        str: TEXTS,
        int: st.integers(0, 10**12),
        float: NUMBERS,
        bool: st.booleans(),
        type(None): st.none(),
        tuple[Bar, ...]: bars(),
        Point: st.tuples(st.floats(0, 1e9), st.floats(0, 1)),
        Confusion: confusions(),
    }
    if wanted in special:
        return special[wanted]
    inner = get_args(wanted)
    match get_origin(wanted):
        case origin if origin is Literal:
            return st.sampled_from(inner)
        case origin if origin is Union or str(origin) == "<class 'types.UnionType'>":
            return st.one_of(*(strategy(one) for one in inner))
        case origin if origin is dict:
            return st.dictionaries(strategy(inner[0]), strategy(inner[1]), max_size=2)
        case origin if origin is tuple and inner[1:] == (...,):
            return st.lists(strategy(inner[0]), max_size=3).map(tuple)
        case origin if origin is tuple:
            return st.tuples(*(strategy(one) for one in inner))
    fields = get_type_hints(wanted)
    return st.builds(
        wanted, **{name: strategy(kind) for name, kind in fields.items() if name in wanted.__struct_fields__}
    )


def documents() -> st.SearchStrategy[dict[str, Any]]:
    """Any report, as the JSON document that it is sent as."""
    return strategy(Report).map(lambda report: msgspec.json.decode(msgspec.json.encode(report)))
