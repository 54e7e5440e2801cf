"""Lint of the dashboards by rules of our own: Grafana itself is not there to draw them."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.monitoring_files import DASHBOARDS, dashboard, panels

from core.settings import ROOT

TITLES = {"Pipeline", "Bitcoin activity and anomalies", "Model", "API", "Cases"}
SCHEMA = 42
UNITS = {
    "none",
    "short",
    "s",
    "bytes",
    "Bps",
    "ops",
    "reqps",
    "percentunit",
    "locale",
}
KINDS = {"row", "stat", "timeseries", "heatmap", "bargauge", "alertlist"}
PROVISIONING = ROOT / "grafana" / "provisioning"

each = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.stem)


def datasource_uid() -> str:
    text = (PROVISIONING / "datasources" / "prometheus.yml").read_text()
    (source,) = yaml.safe_load(text)["datasources"]
    return str(source["uid"])


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size]
        for at, size in (("x", "w"), ("y", "h"))
    )


def test_the_five_dashboards_have_their_titles_and_different_uids() -> None:
    models = [dashboard(path.name) for path in DASHBOARDS]
    assert {model["title"] for model in models} == TITLES
    assert len({model["uid"] for model in models}) == len(models)


@each
def test_a_dashboard_can_be_imported_and_is_kept_in_its_file(path: Path) -> None:
    model = dashboard(path.name)
    assert model["uid"] == path.stem
    assert model["schemaVersion"] == SCHEMA
    assert model["editable"] is False
    assert "id" not in model
    assert "__inputs" not in model
    assert model["description"]
    assert re.fullmatch(r"\d+s", model["refresh"])


@each
def test_ids_are_unique_and_panels_do_not_overlap(path: Path) -> None:
    everything = dashboard(path.name)["panels"]
    assert max(Counter(panel["id"] for panel in everything).values()) == 1
    for one, other in combinations(everything, 2):
        assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])
    assert all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in everything)


@each
def test_each_row_asks_the_question_that_its_panels_answer(path: Path) -> None:
    everything = dashboard(path.name)["panels"]
    assert everything[0]["type"] == "row"
    assert all(p["title"].endswith("?") for p in everything if p["type"] == "row")


@each
def test_each_panel_has_title_description_unit_and_legend(path: Path) -> None:
    shown = panels(dashboard(path.name))
    titles = [panel["title"] for panel in shown]
    assert len(titles) == len(set(titles))
    for panel in shown:
        assert panel["type"] in KINDS
        assert panel["title"]
        assert panel["description"], panel["title"]
        if panel["type"] == "alertlist":
            continue
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["showLegend"]
            assert all(t["legendFormat"] != "__auto" for t in panel["targets"]), panel["title"]


@each
def test_every_datasource_is_the_provisioned_one(path: Path) -> None:
    uid = datasource_uid()
    model = dashboard(path.name)
    sources = [panel["datasource"] for panel in panels(model)]
    sources += [t["datasource"] for p in panels(model) for t in p.get("targets", [])]
    sources += [v["datasource"] for v in model["templating"]["list"] if v["type"] == "query"]
    assert all(source == {"type": "prometheus", "uid": uid} for source in sources)


@each
def test_every_variable_is_used_and_every_one_used_is_there(path: Path) -> None:
    model = dashboard(path.name)
    declared = {variable["name"] for variable in model["templating"]["list"]}
    rest = json.dumps({"panels": model["panels"], "links": model["links"]})
    used = set(re.findall(r"\$\{?(\w+)", rest))
    assert used - {"__rate_interval"} == declared


@each
def test_rates_follow_the_scrape_interval_or_a_named_window(path: Path) -> None:
    for panel in panels(dashboard(path.name)):
        for target in panel.get("targets", []):
            windows = re.findall(r"rate\([^[]*\[([^]]*)\]", target["expr"])
            assert set(windows) <= {"$__rate_interval", "$window"}, panel["title"]


@each
def test_no_age_is_that_of_a_time_which_has_not_come_yet(path: Path) -> None:
    """Such a time is 0, whose age would be that of 1970."""
    for panel in panels(dashboard(path.name)):
        for target in panel.get("targets", []):
            ages = re.findall(r"time\(\) - \(?(bitcoin_\w+)", target["expr"])
            assert all(f"{name} > 0" in target["expr"] for name in ages), panel["title"]


@each
def test_what_is_compared_with_the_budget_leaves_out_what_rules_flag(path: Path) -> None:
    for panel in panels(dashboard(path.name)):
        if panel["title"].endswith("against the budget"):
            for target in panel["targets"]:
                flags = re.findall(r"bitcoin_stream_anomalies_total([^[]*)", target["expr"])
                assert set(flags) <= {'{flagged_by!="rule"}'}


@each
def test_dashboards_lead_to_each_other_and_to_the_product(path: Path) -> None:
    model = dashboard(path.name)
    assert "bitcoin" in model["tags"]
    links = {link["type"]: link for link in model["links"]}
    assert links["dashboards"]["tags"] == ["bitcoin"]
    assert links["link"]["url"] == "$product"


def test_firing_alerts_reach_the_contact_point_of_the_setting() -> None:
    folder = PROVISIONING / "alerting"
    points = yaml.safe_load((folder / "contact-points.yml").read_text())
    (point,) = points["contactPoints"]
    assert point["receivers"][0]["settings"]["url"] == "$ALERT_WEBHOOK_URL"
    assert {policy["receiver"] for policy in points["policies"]} == {point["name"]}
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert "ALERT_WEBHOOK_URL" in compose["services"]["grafana"]["environment"]
    (group,) = yaml.safe_load((folder / "rules.yml").read_text())["groups"]
    (rule,) = group["rules"]
    steps: dict[str, Any] = {step["refId"]: step for step in rule["data"]}
    assert rule["condition"] in steps
    assert steps["A"]["datasourceUid"] == datasource_uid()
    assert 'ALERTS{alertstate="firing"}' in steps["A"]["model"]["expr"]
