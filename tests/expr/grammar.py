"""Random expressions over random JSON: mostly well typed, now and then not."""

from __future__ import annotations

from hypothesis import strategies as st

LETTERS = "abé0😀"
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.sampled_from([0.0, -0.5, 1.0, 2.5, 3.0, 9.75]),
    st.text(LETTERS, max_size=3),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["x", "y", "a"]), inner, max_size=1)
    ),
    max_leaves=5,
)
BINDINGS = st.fixed_dictionaries(
    {
        "m": st.fixed_dictionaries(
            {"x": st.integers(-9, 9) | JSON, "s": st.text(LETTERS, max_size=3)},
            optional={"y": st.sampled_from([0.5, -2.0]) | JSON, "t": st.booleans() | JSON},
        ),
        "l": st.lists(JSON, min_size=1, max_size=4),
        "s": st.text(LETTERS, max_size=5),
        "e": st.lists(st.integers(-9, 9), min_size=1, max_size=4),
        "z": st.dictionaries(st.sampled_from(["x", "y", "a"]), st.integers(-9, 9), max_size=3),
    }
)
KINDS = ("bool", "int", "double", "string", "list", "map", "any")
# What each kind can be made of: `<kind>` is another expression, `{v}` a fresh variable's name, `~` a plain text.
LEAVES = {
    "bool": ("true", "false", "m.t"),
    "int": ("0", "1", "-3", "7", "m.x", "size(e)", "2", "0x5", "e[0]"),
    "double": ("0.0", "1.0", "2.5", "-1.5", "m.y", "double('nan')", "double('inf')"),
    "string": ("''", "'a'", "'ab'", '"é"', "'0'", "'-7'", "'2.5'", "s", "m.s", "r'a'"),
    "list": ("[]", "l", "e", "[1, 2.0]", "['a', true, null]"),
    "map": ("{}", "m", "z", "{'a': 1, 'x': null}", "{2: 'i', 'a': 's', true: 0}"),
    "any": ("null", "m.x", "m['y']", "l[0]", "l[1]", "m.x.a", "m.missing"),
}
# What stands for a list now and then. Never a map of several keys: Google's order of keys changes from run to run.
ODD_LISTS = ("m.x", "s", "1", "null", "l[0]", "m.missing", "{'a': 1}", "true")
SHAPES = {
    "bool": (
        "<any> == <any>",
        "<any> != <any>",
        "<int> == <double>",
        "<int> < <int>",
        "<double> <= <int>",
        "<string> > <string>",
        "<any> >= <any>",
        "<bool> && <bool>",
        "<bool> || <bool>",
        "<bool> || <bool> || <bool>",
        "!(<bool>)",
        "<any> in <list>",
        "<string> in <map>",
        "<any> in <map>",
        "has(<map>.x)",
        "<string>.startsWith(<string>)",
        "<string>.endsWith(<string>)",
        "<string>.contains(<string>)",
        "<string>.matches('^[ab]+$')",
        "<string>.matches(<string>)",
        "matches(<string>, 'a|b')",
        "<list>.exists({v}, <bool>)",
        "<list>.all({v}, <bool>)",
        "<list>.exists_one({v}, <bool>)",
        "<map>.exists({v}, <bool>)",
        "<list>.exists({v}, {v} == <any>)",
        "<list>.all({v}, {v} > <int>)",
        "<list> == <list>",
        "<map> == <map>",
        "(<bool> ? <bool> : <bool>)",
        "<string> in ['a', 'ab', 's']",
        "<any> == 'a'",
        "<any> != 1",
        "<any> == true",
        "<any> < 3",
        "<any> >= 1.5",
    ),
    "int": (
        "(<int> + <int>)",
        "(<int> - <int>)",
        "(<int> * <int>)",
        "(<int> / <int>)",
        "(<int> % <int>)",
        "-(<int>)",
        "size(<string>)",
        "<list>.size()",
        "<map>.size()",
        "int(string(<string>))",
        "int(double(<int>))",
        "<list>[<int>]",
        "int(<double> + 0.0)",
        "(<bool> ? <int> : <int>)",
    ),
    "double": (
        "(<double> + <double>)",
        "(<double> * <double>)",
        "(<double> / <double>)",
        "-(<double>)",
        "double(<int>)",
        "double(<string>)",
        "(<double> - <int>)",
    ),
    "string": ("(<string> + <string>)", "string(<int>)", "string(<bool>)", "string(<double>)", "<map>['s']"),
    "list": (
        "[<any>, <int>]",
        "(<list> + <list>)",
        "<list>.filter({v}, <bool>)",
        "<list>.map({v}, <any>)",
        "{'a': <any>}.map({v}, {v} + <string>)",
        "<list>.map({v}, <bool>, <any>)",
        "<list>.map({v}, {v} + <int>)",
    ),
    "map": ("{'a': <any>, 's': <string>}", "{<string>: <int>}", "{<string>: 1, <string>: 2}"),
    "any": (
        "<map>.x",
        "<map>[<string>]",
        "<list>[<int>]",
        "<list>[<double>]",
        "<map>[<any>]",
        "(<bool> ? <any> : <int>)",
    ),
}


@st.composite
def expressions(draw, kind="bool"):
    """An expression that is likely of ``kind``."""
    return _build(draw, kind, draw(st.integers(1, 3)), ())


def _build(draw, kind, depth, scope):
    if draw(st.integers(0, 29)) == 0:
        if kind == "list":
            return draw(st.sampled_from(ODD_LISTS))
        kind = draw(st.sampled_from(KINDS))
    if kind == "any" and draw(st.booleans()):
        kind = draw(st.sampled_from(KINDS))
    if depth == 0:
        return draw(st.sampled_from(LEAVES[kind] + (() if kind == "list" else scope)))
    shape = draw(st.sampled_from(SHAPES[kind] + LEAVES[kind][:1]))
    variable = f"v{len(scope)}"
    target, *rest = shape.split("{v},")
    text = _fill(draw, target, depth, scope)
    inside = (*scope, variable) if rest else scope
    return "".join([text, *(f"{variable}," + _fill(draw, part, depth, inside) for part in rest)]).replace(
        "{v}", variable
    )


def _fill(draw, shape, depth, scope):
    before, opening, after = shape.partition("<")
    hole, _, rest = after.partition(">")
    if not opening or hole not in KINDS:
        return before + opening + (_fill(draw, after, depth, scope) if opening else "")
    return before + _build(draw, hole, depth - 1, scope) + _fill(draw, rest, depth, scope)
