"""What the monitoring files say: their expressions, and the metric names in them."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from core.settings import ROOT

DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
RULE_FILES = sorted((ROOT / "prometheus").glob("*.yml"))

# Quoted text, `by (…)` and the like, and label matchers hold no metric's name.
_NOT_NAMES = (
    r'"[^"]*"',
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)",
    r"\{[^}]*\}",
    r"\[[^]]*\]",
)
_WORDS = {"and", "or", "unless", "bool", "on", "offset"}

VARIABLES = {
    "$__rate_interval": "1m",
    "$window": "5m",
    "$job": ".*",
    "$route": ".*",
    "$feature": ".*",
}
"""What a dashboard's variables stand for when everything is selected."""


@cache
def dashboard(name: str) -> dict[str, Any]:
    """A dashboard's JSON by its file's name."""
    return dict(json.loads((ROOT / "grafana" / "dashboards" / name).read_text()))


def panels(model: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels that show something: rows are left out."""
    return [panel for panel in model["panels"] if panel["type"] != "row"]


def panel_expressions() -> Iterator[tuple[str, str]]:
    """Where each expression of a panel stands, and the expression."""
    for path in DASHBOARDS:
        for panel in panels(dashboard(path.name)):
            for target in panel.get("targets", []):
                yield f"{path.stem}: {panel['title']}: {target['refId']}", target["expr"]


def rules() -> list[dict[str, Any]]:
    """Every recording and alert rule."""
    files = (yaml.safe_load(path.read_text()) for path in RULE_FILES)
    return [rule for content in files for group in content["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """The alert rules by their names."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def runbook_expressions() -> list[str]:
    """What the runbook asks Prometheus."""
    text = (ROOT / "docs" / "runbook.md").read_text()
    return re.findall(r"^ask '(.*)'$", text, re.MULTILINE)


def filled(expression: str) -> str:
    """An expression with its variables replaced, as Prometheus takes it."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def names(expression: str) -> set[str]:
    """The names of metrics in an expression; a function is followed by a bracket."""
    for pattern in _NOT_NAMES:
        expression = re.sub(pattern, " ", expression)
    words = re.findall(r"\b([a-zA-Z_:][a-zA-Z0-9_:]*)\b(?!\s*\()", expression)
    return set(words) - _WORDS


def used_names() -> set[str]:
    """Every metric that a dashboard or a rule asks for."""
    expressions = [text for _, text in panel_expressions()] + [rule["expr"] for rule in rules()]
    return {name for expression in expressions for name in names(filled(expression))}
