"""Where a model's calls go, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.plan.model import Endpoint, RetryRule
from tests.plan.building import plan


def model(written):
    """The plan of a model in YAML flow style."""
    compiled = plan(f"models: {{m: {written}}}\nnodes: {{root: {{split: {{routes: [{{to: m, weight: 1}}]}}}}}}")
    return compiled.models["m"]


URLS = {
    "http://m": ([("m", 80)], False, None, "m"),
    "https://m": ([("m", 443)], True, None, "m"),
    "http://m:8080": ([("m", 8080)], False, None, "m:8080"),
    "https://m:80/": ([("m", 80)], True, "/", "m:80"),
    "http://m/": ([("m", 80)], False, "/", "m"),
    "http://m:443/v1/models/x:predict": ([("m", 443)], False, "/v1/models/x:predict", "m:443"),
    "http://10.0.0.1:9000/p": ([("10.0.0.1", 9000)], False, "/p", "10.0.0.1:9000"),
    "http://[::1]/p": ([("::1", 80)], False, "/p", "[::1]"),
    "https://[2001:db8::7]:8443": ([("2001:db8::7", 8443)], True, None, "[2001:db8::7]:8443"),
    "http://m.example.com./p//q/": ([("m.example.com.", 80)], False, "/p//q/", "m.example.com."),
    "http://m/a;b=c:d@e": ([("m", 80)], False, "/a;b=c:d@e", "m"),
    "http://m/100%25": ([("m", 80)], False, "/100%25", "m"),
}


@pytest.mark.parametrize(("url", "expected"), URLS.items())
def test_url(url, expected):
    """Host, port, TLS, path and authority of a url; a lone ``/`` is a path, no path keeps the request's own."""
    endpoints, secure, path, authority = expected
    found = model(f"{{url: '{url}'}}")
    assert [(endpoint.host, endpoint.port) for endpoint in found.endpoints] == endpoints
    assert (found.secure, found.path, found.authority) == (secure, path, authority)
    assert (found.key, repr(found)) == ("fraud/m", "<ModelPlan fraud/m>")


def test_several_urls():
    """Several endpoints are listed in order; path and authority are the first one's."""
    found = model("{urls: ['http://one:81/p', 'http://[::2]/p', 'http://1.2.3.4:83/p']}")
    assert found.endpoints == (Endpoint("one", 81), Endpoint("::2", 80), Endpoint("1.2.3.4", 83))
    assert (found.path, found.authority) == ("/p", "one:81")


def test_a_cluster_of_envoys_own():
    """A model in a cluster has no endpoints; its path and host are as written."""
    found = model("{cluster: outbound|80||m, path: /p, host: m.mesh}")
    assert (found.endpoints, found.secure, found.path, found.authority) == ((), False, "/p", "m.mesh")
    bare = model("{cluster: c}")
    assert (bare.path, bare.authority) == (None, None)


RETRIES = {
    "": RetryRule(2, None, 0.025),
    ", retries: 5": RetryRule(5, None, 0.025),
    ", retries: {attempts: 3}": RetryRule(3, None, 0.025),
    ", retries: {on: ['429'], backoff: 0.5}": RetryRule(2, ("429",), 0.5),
}


@pytest.mark.parametrize(("written", "rule"), RETRIES.items())
def test_retries(written, rule):
    """A bare number, an object with defaults, or nothing at all: two attempts on connect and early resets."""
    assert model(f"{{url: 'http://m'{written}}}").retries == rule


@pytest.mark.parametrize(
    ("written", "left", "expected"),
    [
        ("", 2.0, 2.0),
        (", timeout: 0.3", 2.0, 0.3),
        (", timeout: 0.3", 0.1, 0.1),
        (", retries: 4", 2.0, 2.0),  # what is repeated had not been sent, so one attempt may take all
        (", retries: {attempts: 4, on: [5xx, '429', connect]}", 2.0, 2.0),
        (", retries: {attempts: 4, on: [timeout]}", 2.0, 0.5),
        (", retries: {attempts: 4, on: [reset]}", 2.0, 0.5),
        (", retries: {attempts: 1, on: [timeout]}", 2.0, 2.0),
        (", timeout: 0.3, retries: {attempts: 4, on: [timeout]}", 2.0, 0.3),
        (", timeout: 0.9, retries: {attempts: 4, on: [timeout]}", 2.0, 0.5),
    ],
)
def test_attempt_timeout(written, left, expected):
    """One attempt takes the model's timeout at most, and all attempts that a timeout repeats fit what is left."""
    assert model(f"{{url: 'http://m'{written}}}").attempt_timeout(left) == pytest.approx(expected)


@settings(derandomize=True)
@given(
    attempts=st.integers(1, 100),
    causes=st.sets(st.sampled_from(["connect", "reset", "timeout", "5xx", "429"]), min_size=1),
    timeout=st.none() | st.floats(0.001, 100),
    left=st.floats(0.001, 100),
)
def test_attempts_fit(attempts, causes, timeout, left):
    """No attempt outlives what is left, nor do all those together that follow a timeout."""
    written = f", retries: {{attempts: {attempts}, on: [{', '.join(map(repr, sorted(causes)))}]}}"
    found = model(f"{{url: 'http://m'{written}{'' if timeout is None else f', timeout: {timeout}'}}}")
    one = found.attempt_timeout(left)
    rounds = attempts if causes & {"timeout", "reset"} else 1
    least = 0.001  # Envoy's millisecond, however little is left
    assert least <= one <= max(left, least)
    assert one * rounds <= max(left, least * rounds) * 1.000001
    assert timeout is None or one <= timeout
