"""Grafana's dashboard: what no Grafana is here to check."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest
import yaml

from extproc.admin.metrics import CHALLENGE_REQUESTS, CHALLENGE_VERDICT, METRICS
from tests.deploy.compose import ROOT, services
from tests.deploy.metrics import wrong
from tests.deploy.promtool import check_expressions

GRAFANA = ROOT / "deploy/grafana"
BOARD = json.loads((GRAFANA / "dashboards/extproc.json").read_text())
PANELS = {panel["title"]: panel for panel in BOARD["panels"] if panel["type"] != "row"}
EXPRESSIONS = {
    f"{title} {target['refId']}": target["expr"] for title, panel in PANELS.items() for target in panel["targets"]
}
# Grafana's own ids: public/app/plugins/panel, and packages/grafana-data/src/valueFormats.
KINDS = {"stat", "timeseries", "state-timeline", "table"}
UNITS = {"reqps", "cps", "percentunit", "s", "short"}
WIDTH = 24
# Of `extproc up` alone, and what has a place elsewhere.
UNSHOWN = {"extproc_workers_ready", "extproc_envoy_starts_total", "extproc_build_info"}


def datasources():
    return {
        one["uid"]: one
        for one in yaml.safe_load((GRAFANA / "provisioning/datasources/datasources.yaml").read_text())["datasources"]
    }


def test_titles_and_ids_are_unique():
    """A panel is found by either."""
    panels = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
    assert len(PANELS) == len(panels)
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_is_complete(title):
    """It says what it shows, in a unit, and what stands there when there is nothing."""
    panel = PANELS[title]
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["type"] in KINDS
    assert panel["description"].endswith(".")
    assert defaults["unit"] in UNITS
    assert defaults["noValue"]
    assert defaults["thresholds"]["steps"][0]["value"] is None
    bounds = [step["value"] for step in defaults["thresholds"]["steps"][1:]]
    assert all(low < high for low, high in pairwise(bounds))


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_asks_a_source_that_is_provisioned(title):
    """The panel, and each of its queries."""
    sources = {uid: one["type"] for uid, one in datasources().items()}
    for asked in (PANELS[title]["datasource"], *(target["datasource"] for target in PANELS[title]["targets"])):
        assert sources[asked["uid"]] == asked["type"] == "prometheus"


@pytest.mark.parametrize("query", EXPRESSIONS)
def test_a_query_asks_for_what_there_is(query):
    """Its metrics and labels are the admin address' own, and the chosen graphs alone where there are graphs."""
    text = EXPRESSIONS[query]
    assert wrong(text.replace("$graph", ".*").replace("[$__rate_interval]", "[5m]")) == []
    graphless = {name for name in named(text) if "graph" not in LABELS.get(name, ())}
    assert text.count('graph=~"$graph"') == sum(text.count(name) for name in named(text) - graphless)


LABELS = {
    f"{metric.exposed}{part}": metric.labels
    for metric in (*METRICS.values(), CHALLENGE_REQUESTS, CHALLENGE_VERDICT)
    for part in (("_bucket", "_sum", "_count") if metric.bounds else ("",))
}


def named(text):
    return {name for name in LABELS if name in text}


def test_legends_name_labels_that_the_query_keeps():
    """A legend with a label that was summed away would be empty."""
    for title, panel in PANELS.items():
        for target in panel["targets"]:
            for label in [part.partition("}}")[0] for part in target["legendFormat"].split("{{")[1:]]:
                assert f"{label}" in target["expr"].partition(" by (")[2], (title, label)


def test_prometheus_can_parse_every_query(tmp_path):
    """With the ranges that Grafana fills in."""
    check_expressions(
        {name: text.replace("$__rate_interval", "20s").replace("$graph", ".*") for name, text in EXPRESSIONS.items()},
        tmp_path,
    )


def test_every_metric_is_shown_or_known_not_to_be():
    """A metric that is added gets a panel, or stands in the list of those without."""
    text = " ".join(EXPRESSIONS.values())
    unshown = {
        metric.exposed
        for metric in (*METRICS.values(), CHALLENGE_REQUESTS, CHALLENGE_VERDICT)
        if metric.exposed not in text
    }
    assert unshown == UNSHOWN


def test_panels_lie_side_by_side():
    """Within the width, and none over another."""
    taken = Counter(
        (column, line)
        for panel in BOARD["panels"]
        for column in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for line in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    )
    assert max(taken.values()) == 1
    assert max(column for column, _ in taken) < WIDTH


def test_graphs_can_be_chosen():
    """From those in force, and all of them at first."""
    (variable,) = BOARD["templating"]["list"]
    assert (variable["name"], variable["type"]) == ("graph", "query")
    assert variable["query"]["query"] == "label_values(extproc_graph_info, graph)"
    assert variable["datasource"]["uid"] in datasources()
    assert (variable["includeAll"], variable["allValue"], variable["multi"]) == (True, ".*", True)
    assert variable["current"]["value"] == ["$__all"]


def test_it_is_where_grafana_looks():
    """The provider's folder and the home page are what compose mounts, and sources are services at their ports."""
    grafana = services("docker-compose.yml")["grafana"]
    (mounted,) = [mount for mount in grafana.mounts if mount.source.endswith("/dashboards")]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/dashboards.yaml").read_text())["providers"]
    assert provider["options"]["path"] == mounted.target
    assert grafana.environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{mounted.target}/extproc.json"
    assert {one["url"] for one in datasources().values()} == {"http://prometheus:9090", "http://jaeger:16686"}


def test_grafana_knows_how_often_there_are_samples():
    """Its shortest range is taken from Prometheus' interval."""
    interval = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["global"]["scrape_interval"]
    assert datasources()["prometheus"]["jsonData"]["timeInterval"] == interval
