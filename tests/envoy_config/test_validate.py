"""A real Envoy is asked whether it takes what we build."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from extproc.envoy.binary import find_envoy
from extproc.envoy.files import write
from extproc.envoy.layout import Address
from tests.envoy_config.configuring import (
    BOOTSTRAP,
    CLUSTERS,
    EGRESS,
    INGRESS,
    LISTENERS,
    configured,
    layout,
    one_model,
    texts,
)
from tests.envoy_config.test_build import CLOSED, EVERYTHING, HEADERS_ONLY
from tests.plan.building import plan

pytestmark = pytest.mark.envoy

STRANGE = [
    plan(
        "models: {a: {url: 'http://a/$1/100%25'}}\nnodes: {root: {split: {routes: [{to: a, weight: 1}]}}}",
        "strange",
        [
            {"path": "/a.b+c*(d)|[e]"},
            {"prefix": "/$1/x-y"},
            {"host": "[::1]"},
            {"host": "*.a-b.example.com", "headers": {"x-a": 'a "b" \\ %'}},
            {"host": "a-b.c_d.example", "prefix": "/"},
        ],
    ),
    plan(
        "models: {m.1-x_Y: {url: 'https://[2001:db8::1]:8443', headers: {set: {x: '%REQ(y)% 100%', y: '\"\\'}}}}\n"
        "nodes: {root: {split: {routes: [{to: m.1-x_Y, weight: 1}]}}}",
        "other",
    ),
]


def validated(folder, bootstrap):
    """Ask Envoy about a bootstrap; fail with its own words."""
    file = folder / "asked.json"
    file.write_text(json.dumps(bootstrap))
    command = [str(find_envoy()), "--mode", "validate", "-c", str(file), "-l", "error", "--concurrency", "1"]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert asked.returncode == 0, asked.stderr


def static(files):
    """The same resources in one static bootstrap: ``--mode validate`` does not read what lies in other files."""
    tables = {files[name]["resources"][0]["name"]: files[name]["resources"][0] for name in (INGRESS, EGRESS)}
    listeners = json.loads(json.dumps(files[LISTENERS]["resources"]))
    for listener in listeners:
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        table = dict(tables[manager.pop("rds")["route_config_name"]])
        manager["route_config"] = {name: value for name, value in table.items() if name != "@type"}
    plain = [{name: value for name, value in one.items() if name != "@type"} for one in listeners]
    clusters = [{name: value for name, value in one.items() if name != "@type"} for one in files[CLUSTERS]["resources"]]
    bootstrap = {name: value for name, value in files[BOOTSTRAP].items() if name != "dynamic_resources"}
    return {**bootstrap, "static_resources": {"listeners": plain, "clusters": clusters}}


@pytest.fixture
def certificates(tmp_path):
    """A certificate that Envoy can read, for models that speak TLS."""
    made = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=m -keyout {tmp_path}/k.pem"
    openssl = shutil.which("openssl")
    assert openssl, "these tests need openssl"
    subprocess.run([openssl, *made.split(), "-out", f"{tmp_path}/c.pem"], check=True, capture_output=True)
    return tmp_path


def test_the_bootstrap(tmp_path):
    """Envoy takes the bootstrap, with all it names in place."""
    files = texts(HEADERS_ONLY, CLOSED, where=layout(tmp_path))
    write(tmp_path, files)
    command = [str(find_envoy()), "--mode", "validate", "-c", str(tmp_path / BOOTSTRAP), "-l", "error"]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert asked.returncode == 0, asked.stderr


def test_everything_a_graph_can_say(certificates):
    """Envoy takes clusters, routes and listeners of a graph that uses every setting of a model."""
    where = layout(certificates)
    text = json.dumps(configured(EVERYTHING, CLOSED, HEADERS_ONLY, where=where))
    for name, real in (("/ca.pem", "c.pem"), ("/c.pem", "c.pem"), ("/k.pem", "k.pem")):
        text = text.replace(f'"{name}"', json.dumps(str(certificates / real)))
    files = json.loads(text)
    theirs = {"name": "outbound|80||m", "type": "STATIC", "load_assignment": {"cluster_name": "x", "endpoints": []}}
    bootstrap = static(files)
    bootstrap["static_resources"]["clusters"].append(theirs)
    validated(certificates, bootstrap)


def test_a_header_from_a_file(tmp_path):
    """Envoy takes a route that sets a header from a file, as the language allows."""
    (tmp_path / "secret").write_text("s")
    one = one_model(f"{{url: 'http://m', headers: {{set: {{authorization: {{file: '{tmp_path}/secret'}}}}}}}}")
    validated(tmp_path, static(configured(one, where=layout(tmp_path))))


def test_strange_names(tmp_path):
    """Regex specials in paths and hosts, percent signs, quotes, IPv6, and dots in names are taken."""
    validated(tmp_path, static(configured(*STRANGE, where=layout(tmp_path, Address("::1", 10000)))))


def test_no_graphs(tmp_path):
    """Envoy takes the configuration of no graph at all."""
    validated(tmp_path, static(configured(where=layout(tmp_path))))


@pytest.mark.parametrize(
    ("written", "more"),
    [
        ("{url: 'http://m', retries: 100, concurrency: 4294967295}", "timeout: 3599"),
        ("{url: 'http://m', timeout: 0.001, retries: {attempts: 2, on: [timeout], backoff: 0.001}}", "timeout: 0.001"),
        ("{url: 'http://m', health: {path: /, interval: 0.001}, concurrency: 1}", "maxBody: 4294967295"),
        ("{url: 'http://m', retries: {attempts: 2, on: [connect], backoff: 86400}}", "maxBody: 1"),
    ],
)
def test_the_borders_of_the_language(tmp_path, written, more):
    """The least and the largest numbers that the language allows are numbers that Envoy takes."""
    validated(tmp_path, static(configured(one_model(written, f"{more}\nwhenAway: closed"), where=layout(tmp_path))))


def test_the_question_is_a_real_one(tmp_path):
    """Envoy refuses a table with a regex that is none, so that the other answers mean something."""
    broken = static(configured(HEADERS_ONLY, where=layout(tmp_path)))
    text = json.dumps(broken).replace('"^.*$"', '"("')
    with pytest.raises(AssertionError, match=r"missing [)]"):
        validated(tmp_path, json.loads(text))
