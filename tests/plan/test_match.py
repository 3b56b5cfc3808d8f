"""Which graph a request enters."""

from __future__ import annotations

import re
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.graph.document import Match
from extproc.plan.match import fits, specific_first, without_port

TABLE = [
    # match, host, path, headers, fits
    (Match(), "", "/", {}, True),
    (Match(), "any:80", "/a/b", {"x": "1"}, True),
    (Match(host="api.example.com"), "api.example.com", "/", {}, True),
    (Match(host="api.example.com"), "API.Example.com:8080", "/", {}, True),
    (Match(host="api.example.com"), "xapi.example.com", "/", {}, False),
    (Match(host="api.example.com"), "api.example.com.evil", "/", {}, False),
    (Match(host="api.example.com"), "apixexample.com", "/", {}, False),
    (Match(host="*.example.com"), "a.example.com", "/", {}, True),
    (Match(host="*.example.com"), "a.b.example.com:1", "/", {}, True),
    (Match(host="*.example.com"), "A.EXAMPLE.COM", "/", {}, True),
    (Match(host="*.example.com"), "example.com", "/", {}, False),
    (Match(host="*.example.com"), ".example.com", "/", {}, False),
    (Match(host="*.example.com"), "badexample.com", "/", {}, False),
    (Match(host="[::1]"), "[::1]:80", "/", {}, True),
    (Match(host="[::1]"), "[::1]", "/", {}, True),
    (Match(path="/a"), "", "/a", {}, True),
    (Match(path="/a"), "", "/a/", {}, False),
    (Match(path="/a"), "", "/A", {}, False),
    (Match(path="/"), "", "/", {}, True),
    (Match(path="/"), "", "/a", {}, False),
    (Match(prefix="/a"), "", "/a", {}, True),
    (Match(prefix="/a"), "", "/a/b", {}, True),
    (Match(prefix="/a"), "", "/a/", {}, True),
    (Match(prefix="/a"), "", "/ab", {}, False),
    (Match(prefix="/a/"), "", "/a/b", {}, True),
    (Match(prefix="/a/"), "", "/ab", {}, False),
    (Match(prefix="/"), "", "/anything", {}, True),
    (Match(headers={"x": "1"}), "", "/", {"x": "1", "y": "2"}, True),
    (Match(headers={"x": "1"}), "", "/", {"x": "1,1"}, False),
    (Match(headers={"x": "1"}), "", "/", {}, False),
    (Match(headers={"x": "1", "y": "2"}), "", "/", {"x": "1"}, False),
    (Match(headers={"x": ""}), "", "/", {}, False),
    (Match(host="h", path="/a", headers={"x": "1"}), "h", "/a", {"x": "1"}, True),
    (Match(host="h", path="/a", headers={"x": "1"}), "h", "/b", {"x": "1"}, False),
]


@pytest.mark.parametrize(("match", "host", "path", "headers", "expected"), TABLE)
def test_fits(match, host, path, headers, expected):
    """Hosts in any case and without their port, whole segments of a prefix, exact paths and header values."""
    assert fits(match, host, path, headers) is expected


@pytest.mark.parametrize(
    ("host", "name"),
    [("h", "h"), ("h:80", "h"), ("[::1]", "[::1]"), ("[::1]:80", "[::1]"), ("", ""), ("h:", "h:"), ("h:x", "h:x")],
)
def test_without_port(host, name):
    """Only a port is cut off, never a part of an IPv6 address."""
    assert without_port(host) == name


ORDER = [
    Match(host="a.example.com", path="/a/b", headers={"x": "1"}),
    Match(host="a.example.com", path="/a/b"),
    Match(host="a.example.com", prefix="/a/b", headers={"x": "1", "y": "1"}),
    Match(host="a.example.com", prefix="/a/b"),
    Match(host="a.example.com", prefix="/a"),
    Match(host="a.example.com"),
    Match(host="*.a.example.com", prefix="/a"),
    Match(host="*.example.com", path="/a/b"),
    Match(host="*.example.com", headers={"x": "1"}),
    Match(host="*.example.com"),
    Match(path="/a/b"),
    Match(prefix="/a/b"),
    Match(prefix="/a/"),
    Match(headers={"x": "1", "y": "1"}),
    Match(headers={"x": "1"}),
    Match(),
]


def test_order():
    """Exact host over wildcard (longer first) over none, exact path over longest prefix, more headers over fewer."""
    assert [match for match, _ in specific_first((match, None) for match in reversed(ORDER))] == ORDER


def test_equals_keep_their_order():
    """Two matches of the same rank stay in the order of the graphs."""
    entries = [(Match(headers={name: "1"}), name) for name in ("c", "a", "b")]
    assert [name for _, name in specific_first(entries)] == ["c", "a", "b"]


@pytest.mark.parametrize("three", list(permutations([Match(host="h"), Match(path="/a"), Match(headers={"x": "1"})])))
def test_host_beats_path_beats_headers(three):
    """The host decides first, then the path, then the number of headers."""
    assert [match for match, _ in specific_first((match, None) for match in three)] == [
        Match(host="h"),
        Match(path="/a"),
        Match(headers={"x": "1"}),
    ]


LABELS = st.sampled_from(["a", "b", "example", "com"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab", ""]), max_size=3)
PATHS = SEGMENTS.map(lambda segments: "/" + "/".join(segments))
HEADERS = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.sampled_from(["1", "2"]), max_size=2)
WANTED_HOSTS = st.none() | HOSTS | HOSTS.map(lambda host: f"*.{host}")
MATCHES = st.builds(
    lambda host, kind, path, headers: Match(host=host, headers=headers, **({kind: path} if kind else {})),
    WANTED_HOSTS,
    st.sampled_from(["path", "prefix", ""]),
    PATHS,
    HEADERS,
)


def entered(match, host, path, headers):
    """The contract in other words: labels from the right, segments from the left, every header."""
    if match.host is not None:
        name = re.sub(r":[0-9]+$", "", host).lower().split(".")
        wanted = match.host.split(".")
        if wanted[0] == "*":
            if len(name) < len(wanted) or name[-len(wanted) + 1 :] != wanted[1:]:
                return False
        elif name != wanted:
            return False
    if match.path is not None and match.path != path:
        return False
    if match.prefix is not None:
        wanted = segments(match.prefix)
        if path.split("/")[1:][: len(wanted)] != wanted:
            return False
    return set(match.headers.items()) <= set(headers.items())


def segments(prefix):
    """A prefix's segments; slashes at its end mean nothing."""
    return prefix.rstrip("/").split("/")[1:]


def beats(one, other):
    """Whether the contract puts one match strictly before another, both fitting the same request."""
    for mine, theirs in (
        (host_rank(one), host_rank(other)),
        (one.path is not None, other.path is not None),
        (len((one.prefix or "").rstrip("/")), len((other.prefix or "").rstrip("/"))),
        (len(one.headers), len(other.headers)),
    ):
        if mine != theirs:
            return mine > theirs
    return False


def host_rank(match):
    """None, then wildcards by their length, then exact hosts."""
    if match.host is None:
        return (0, 0)
    return (1, match.host.count(".")) if match.host.startswith("*.") else (2, 0)


REQUESTS = st.tuples(
    st.builds(
        lambda host, port, up: (host.upper() if up else host) + port, HOSTS, st.sampled_from(["", ":80"]), st.booleans()
    ),
    PATHS,
    HEADERS,
)


@settings(derandomize=True, max_examples=300)
@given(MATCHES, REQUESTS)
def test_fits_like_the_oracle(match, request_):
    """Any match and any request: the same answer as comparing label by label and segment by segment."""
    assert fits(match, *request_) is entered(match, *request_)


@settings(derandomize=True, max_examples=150)
@given(st.lists(MATCHES, min_size=1, max_size=8), REQUESTS)
def test_the_first_that_fits_is_the_most_specific(matches, request_):
    """No match that fits a request beats the first one that does."""
    ordered = [match for match, _ in specific_first((match, None) for match in matches)]
    fitting = [match for match in ordered if fits(match, *request_)]
    assert not any(beats(other, fitting[0]) for other in fitting[1:])
    assert not any(beats(later, sooner) for sooner, later in pairwise(fitting))
