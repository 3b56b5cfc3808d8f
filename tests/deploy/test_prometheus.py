"""Prometheus takes its configuration and alerts, and these ask for metrics that there are."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tests.deploy.compose import ROOT, services
from tests.deploy.metrics import exposed, wrong
from tests.deploy.promtool import promtool

DEPLOY = ROOT / "deploy"
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}


def test_prometheus_takes_its_configuration():
    """With the alerts that it names."""
    promtool("check", "config", DEPLOY / "prometheus.yml")


def test_alerts_fire_when_they_have_to_and_not_before(tmp_path):
    """Each alert on its own trouble, and none in quiet times."""
    file = tmp_path / "alerts.test.yml"
    file.write_text(
        (ROOT / "tests/deploy/alerts.test.yml")
        .read_text()
        .replace("[ALERTS]", json.dumps([str(DEPLOY / "alerts.yml")]))
    )
    promtool("test", "rules", file)


def test_every_alert_is_seen_firing():
    """An alert that is added is tried in alerts.test.yml, too."""
    tried = (ROOT / "tests/deploy/alerts.test.yml").read_text()
    assert [name for name in ALERTS if not re.search(rf"\b{name}\b", tried)] == []


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_asks_for_what_there_is(alert):
    """Its metrics and labels are the admin address' own."""
    assert wrong(ALERTS[alert]["expr"]) == []


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_tells_who_and_what_to_do(alert):
    """It has a severity, a summary that names the one concerned, and a description."""
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "warn"}
    assert "$labels." in rule["annotations"]["summary"]
    assert rule["annotations"]["description"]


def test_the_target_is_the_processors_admin_address():
    """At the port that the processor is told to listen at."""
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
    words = services("docker-compose.yml")["processor"].words
    port = words[words.index("--admin") + 1].rpartition(":")[2]
    assert job["static_configs"] == [{"targets": [f"processor:{port}"]}]


WRONG = [
    ("extproc_request_total", "no metric extproc_request_total"),
    ('rate(extproc_requests_total{graphs="a"}[5m])', "no label graphs of extproc_requests_total"),
    ('extproc_calls_total{model="a",status!="200"}', "no label status of extproc_calls_total"),
    ("sum by (graph, branch) (extproc_requests_total)", "no label branch to group by"),
    ("extproc_call_duration_seconds", "no metric extproc_call_duration_seconds"),
    ("vector(1)", "no metric at all"),
]


@pytest.mark.parametrize(("expression", "complaint"), WRONG)
def test_what_is_not_there_is_seen(expression, complaint):
    """The check finds a slip in a metric's name, a selector, a grouping."""
    assert wrong(expression) == [complaint]


def test_there_are_metrics():
    """The check looks where metrics are."""
    assert exposed()["extproc_call_duration_seconds_bucket"] == ("graph", "model", "kind", "le", "job", "instance")
