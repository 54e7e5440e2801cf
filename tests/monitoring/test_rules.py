"""Prometheus's own tools check the configuration and the rules."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from local.scraper import local_config
from tests.support.monitoring_files import (
    RULE_FILES,
    alerts,
    filled,
    panel_expressions,
    runbook_expressions,
)
from tests.support.processes import missing

from core.settings import ROOT

UNIT_TESTS = sorted((Path(__file__).parent / "rules").glob("*.yml"))
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


@pytest.fixture
def promtool() -> str:
    path = shutil.which("promtool")
    if path is None:
        missing("promtool is not installed (Debian: apt-get install prometheus)")
    return str(path)


def succeeds(*command: str) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


def test_configuration_and_rules_are_accepted(promtool: str, tmp_path: Path) -> None:
    succeeds(promtool, "check", "config", str(ROOT / "prometheus.yml"))
    local = tmp_path / "prometheus.yml"
    config = yaml.safe_load((ROOT / "prometheus.yml").read_text())
    local.write_text(yaml.safe_dump(local_config(config, {"api": 5001, "kafka": 9404})))
    succeeds(promtool, "check", "config", str(local))


def test_docker_and_the_local_stack_load_the_same_rules() -> None:
    config = yaml.safe_load((ROOT / "prometheus.yml").read_text())
    assert [ROOT / path for path in local_config(config, {})["rule_files"]] == RULE_FILES[::-1]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    mounts = compose["services"]["prometheus"]["volumes"]
    assert "./prometheus:/etc/prometheus/prometheus:ro" in mounts
    assert all(path.startswith("prometheus/") for path in config["rule_files"])


def test_every_expression_of_a_panel_or_the_runbook_parses(promtool: str, tmp_path: Path) -> None:
    expressions = [expression for _, expression in panel_expressions()] + runbook_expressions()
    recorded = [
        {"record": f"expression:{number}", "expr": filled(expression)}
        for number, expression in enumerate(expressions)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    succeeds(promtool, "check", "rules", str(file))


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda p: p.stem)
@pytest.mark.slow
def test_alerts_fire_when_they_should_and_stay_quiet_when_not(promtool: str, path: Path) -> None:
    succeeds(promtool, "test", "rules", str(path))


@pytest.mark.parametrize("name", alerts())
def test_every_alert_is_tested_both_ways(name: str) -> None:
    tests = [test for path in UNIT_TESTS for test in yaml.safe_load(path.read_text())["tests"]]
    of_it = [test for test in tests if test["name"].split()[0] == name]
    fired = [test["promql_expr_test"][0]["exp_samples"] for test in of_it]
    itself = {"labels": f'{{alertname="{name}"}}', "value": 1}
    assert any(itself in samples for samples in fired), "never fires"
    assert any(itself not in samples for samples in fired), "never quiet"


@pytest.mark.parametrize("name", alerts())
def test_an_alert_has_its_severity_summary_action_and_runbook_section(name: str) -> None:
    rule = alerts()[name]
    assert rule["labels"] == {"severity": rule["labels"]["severity"]}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    annotations = rule["annotations"]
    assert set(annotations) == {"summary", "action", "runbook"}
    assert annotations["summary"].endswith(".")
    assert annotations["action"].endswith((".", "?"))
    assert annotations["runbook"] == f"docs/runbook.md#{name.lower()}"


def test_each_section_of_the_runbook_has_commands() -> None:
    sections = re.split(r"^### ", RUNBOOK, flags=re.MULTILINE)[1:]
    assert [text.split()[0] for text in sections if "```sh\n" not in text] == []


def test_the_runbook_has_a_section_for_each_alert_and_no_other() -> None:
    assert re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE) == list(alerts())
