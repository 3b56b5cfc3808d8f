"""Scalars with a meaning of their own: a table of texts and what they are."""

import pytest

from extproc.graph.addresses import Url, split_url
from extproc.graph.language import READERS
from extproc.graph.tree import Mark, Scalar
from extproc.graph.values import Wrong, meaning

GOOD = [
    ("duration", "250ms", 0.25),
    ("duration", "1.5s", 1.5),
    ("duration", "1m", 60.0),
    ("duration", "24h", 86400.0),
    ("duration", "1ms", 0.001),
    ("duration", "2 s", 2.0),
    ("size", "512B", 512),
    ("size", "64KiB", 65536),
    ("size", "8MiB", 8 * 2**20),
    ("size", "0.5KiB", 512),
    ("size", "3GiB", 3 * 2**30),
    ("share", "25%", 0.25),
    ("share", "0.25", 0.25),
    ("share", "1", 1.0),
    ("share", "0%", 0.0),
    ("share", "99.5%", 0.995),
    ("weight", "90", 90.0),
    ("weight", "0", 0.0),
    ("weight", "1e3", 1000.0),
    ("number", "-.5", -0.5),
    ("count", "1", 1),
    ("status", "599", 599),
    ("name", "9-._z", "9-._z"),
    ("name", "no", "no"),
    ("graph_name", "a", "a"),
    ("graph_name", "a" * 63, "a" * 63),
    ("expression", "true", "true"),
    ("url", "HTTP://a_b:1/", "HTTP://a_b:1/"),
    ("path", "/v1/models/m:predict", "/v1/models/m:predict"),
    ("host", "Model.ns.svc:80", "model.ns.svc:80"),
    ("match_host", "*.Example.com", "*.example.com"),
    ("match_host", "[2001:DB8::1]", "[2001:db8::1]"),
    ("header_name", "X-User", "x-user"),
    ("header_value", "1.0", "1.0"),
    ("header_value", "on", "on"),
    ("header_value", "null", "null"),
]
BAD = [
    ("duration", "250", "a duration needs a unit: 250s or 250ms?"),
    ("duration", "1MS", 'unknown unit "MS", expected ms, s, m or h; did you mean 1ms?'),
    ("duration", "1d", 'unknown unit "d", expected ms, s, m or h'),
    ("duration", "0s", "expected a duration from 1ms to 24h, found 0s"),
    ("duration", "0.5ms", "expected a duration from 1ms to 24h, found 0.5ms"),
    ("duration", "25h", "expected a duration from 1ms to 24h, found 25h"),
    ("duration", "-1s", 'expected a duration like 250ms or 2s, found the text "-1s"'),
    ("duration", "soon", 'expected a duration like 250ms or 2s, found the text "soon"'),
    ("duration", "\u0661s", 'expected a duration like 250ms or 2s, found the text "\u0661s"'),
    ("size", "8MB", 'unknown unit "MB", expected B, KiB, MiB or GiB; did you mean 8MiB?'),
    ("size", "8mib", 'unknown unit "mib", expected B, KiB, MiB or GiB; did you mean 8MiB?'),
    ("size", "8", "a size needs a unit: 8B, 8KiB or 8MiB?"),
    ("size", "4GiB", "expected a size from 1B to just below 4GiB, in whole bytes, found 4GiB"),
    ("size", "0.1B", "expected a size from 1B to just below 4GiB, in whole bytes, found 0.1B"),
    ("share", "25", "a share is at most 1 or 100%; did you mean 25%?"),
    ("share", "101%", "expected a share from 0% to 100%, found 101%"),
    ("share", "-0.1", "expected a share from 0% to 100%, found -0.1"),
    ("share", "half", 'expected a share like 25% or 0.25, found the text "half"'),
    ("weight", "-1", "expected a weight from 0 to 1e+15, found -1"),
    ("weight", ".inf", '".inf" is no finite number'),
    ("weight", ".nan", '".nan" is no finite number'),
    ("weight", "1" + "0" * 400, "the number " + '"1' + "0" * 58 + '…" is too large'),
    ("weight", "9" * 5000, 'the number "' + "9" * 59 + '…" has more than 4300 digits (MAX_DIGITS)'),
    ("weight", "true", "expected a number, found true"),
    ("weight", "", "expected a number, found nothing"),
    ("count", "0", "expected a whole number from 1 to 4294967295, found 0"),
    ("count", "1.5", "expected a whole number, found the number 1.5"),
    ("count", "true", "expected a whole number, found true"),
    ("status", "199", "expected a status from 200 to 599, found the number 199"),
    ("status", "600", "expected a status from 200 to 599, found the number 600"),
    ("name", "", "expected a text, found nothing"),
    ("graph_name", "a-", '"a-" is no graph\'s name: up to 63 lower-case letters, digits and \'-\', the first a letter, the last no \'-\''),
    ("expression", "  ", "expected an expression, found nothing"),
    ("url", "example.com", 'expected a URL like http://host:8080/path, found "example.com"'),
    ("url", "http://a:0", 'expected a port from 1 to 65535, found "0"'),
    ("url", "http://a:", 'expected a port from 1 to 65535, found ""'),
    ("url", "http://[::1", 'expected [IPv6] or [IPv6]:port, found "[::1"'),
    ("url", "http://-a", '"-a" is no host name'),
    ("url", "http://a..b", '"a..b" is no host name'),
    ("url", "http://a#f", "a model's URL cannot hold a fragment"),
    ("url", "http://é", 'a URL cannot hold "é"; percent-encode it'),
    ("path", "v1", 'a path begins with /, found "v1"'),
    ("path", "/a b", 'a path cannot hold " "; percent-encode it'),
    ("path", "/a#b", 'a path cannot hold a fragment, found "/a#b"'),
    ("match_host", "a:80", "a host to match has no port (a request's own is ignored); did you mean \"a\"?"),
    ("match_host", "[::1]:80", 'a host to match has no port (a request\'s own is ignored), found "[::1]:80"'),
    ("match_host", "::1", "a host to match has no port (a request's own is ignored); did you mean \"[::1]\"?"),
    ("match_host", "a*", 'a wildcard is the whole first label, like *.example.com, found "a*"'),
    ("header_name", "a b", '"a b" is no header name'),
    ("header_name", "Te", 'the header "te" belongs to one connection and cannot be named here'),
    ("header_name", "content-length", 'the header "content-length" cannot be named here: it follows from the body'),
    ("header_value", "", 'expected a text, found nothing; write "" for an empty value'),
    ("header_value", "a\x7f", "a header's value cannot hold control characters"),
    ("header_value", " a", "a header's value cannot begin or end with a blank: it would be lost on the way"),
]  # fmt: skip


def scalar(text: str, style="plain") -> Scalar:
    """A scalar as the reader makes it."""
    return Scalar(text, style, Mark())


@pytest.mark.parametrize(("kind", "text", "value"), GOOD)
def test_a_text_is_read_as_what_it_means(kind, text, value):
    """The value, of the right type."""
    read = READERS[kind](scalar(text))
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("kind", "text", "message"), BAD, ids=range(len(BAD)))
def test_a_wrong_text_is_told_what_was_expected(kind, text, message):
    """The whole message."""
    with pytest.raises(Wrong) as caught:
        READERS[kind](scalar(text))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("http://a", Url("http", "a", 80, None)),
        ("https://A/", Url("https", "a", 443, "/")),
        ("http://10.0.0.1:8080/x/y", Url("http", "10.0.0.1", 8080, "/x/y")),
        ("https://[0:0::1]:8443", Url("https", "::1", 8443, None)),
    ],
)
def test_a_url_in_parts(text, parts):
    """Scheme, host without brackets, port with its default, path only when written."""
    assert split_url(text) == parts


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("on", "on"), ("n", "n"), ("True", True), ("~", None), ("0x1F", 31), ("0o17", 15), ("017", 17),
        ("1_000", "1_000"), ("1:30", "1:30"), ("2026-01-01", "2026-01-01"), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0),
        ("9" * 30, int("9" * 30)), (".", "."), ("-", "-"), ("e5", "e5"),
    ],
)  # fmt: skip
def test_plain_scalars_mean_what_yaml_1_2_says(text, value):
    """No yes and no, no octal 017, no sexagesimal, no dates."""
    assert meaning(scalar(text)) == value
    assert type(meaning(scalar(text))) is type(value)
    assert meaning(scalar(text, '"')) == text
