"""The example of tail sampling: what no collector is here to check."""

from __future__ import annotations

import yaml

from extproc.graph import load
from tests.deploy.compose import MAIN, ROOT, SAMPLING, services
from tests.test_rendered import rendering

CONFIGURATION = yaml.safe_load((ROOT / "deploy/otel-collector.yaml").read_text())
SAMPLER = CONFIGURATION["processors"]["tail_sampling"]


def test_the_pipeline_names_what_is_configured():
    """Every component, and no other."""
    (pipeline,) = CONFIGURATION["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(CONFIGURATION[kind])


def test_memory_is_limited_first_and_batches_are_made_last():
    """As the collector's own documentation asks."""
    assert CONFIGURATION["service"]["pipelines"]["traces"]["processors"] == ["memory_limiter", "tail_sampling", "batch"]


def test_errors_slow_requests_and_a_share_are_kept():
    """Each policy has the settings of its own type."""
    assert [policy["name"] for policy in SAMPLER["policies"]] == ["errors", "slow", "share"]
    assert all(set(policy) == {"name", "type", policy["type"]} for policy in SAMPLER["policies"])


def test_a_decision_waits_for_the_slowest_request():
    """Longer than any sample graph with a model may take."""
    slowest = max(graph.document.spec.timeout for graph in load([ROOT / "graphs"]).graphs if graph.document.spec.models)
    assert float(SAMPLER["decision_wait"].removesuffix("s")) > slowest


def test_both_send_to_the_collector_and_it_to_jaeger():
    """The processor, and Envoy by what is rendered."""
    sampled = services(MAIN, SAMPLING)
    port = CONFIGURATION["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].rpartition(":")[2]
    for name in ("processor", "render"):
        assert sampled[name].environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://collector:{port}"
        assert sampled[name].environment["OTEL_TRACES_SAMPLER"] == "parentbased_always_on"
    assert CONFIGURATION["exporters"]["otlp"]["endpoint"] == "jaeger:4317"


def test_what_is_rendered_for_it_differs_in_the_collector_alone():
    """The arguments are those of ``make rendered``, to another folder."""
    variables, arguments = rendering()
    words = services(MAIN, SAMPLING)["render"].words
    assert options(words[1:]) == options(arguments) | {"--out": "/var/lib/extproc"}
    assert variables["OTEL_TRACES_SAMPLER"] == services(MAIN, SAMPLING)["render"].environment["OTEL_TRACES_SAMPLER"]


def options(words):
    assert words[0] == "config"
    assert words[1].strip("/") == "graphs"
    return dict(zip(words[2::2], words[3::2], strict=True))


def test_envoy_runs_on_what_was_rendered():
    """In the same place, and once it is complete; all else of the services is as without the collector."""
    plain, sampled = services(MAIN), services(MAIN, SAMPLING)
    (mounted,) = [mount for mount in sampled["envoy"].mounts if mount.target == "/etc/envoy"]
    assert (mounted.source, mounted.read_only) == ("rendered", True)
    assert sampled["envoy"].needs["render"] == "service_completed_successfully"
    assert sampled["envoy"].words == plain["envoy"].words
    assert sampled["processor"].words == plain["processor"].words
    assert set(sampled) == {*plain, "render", "collector"}
