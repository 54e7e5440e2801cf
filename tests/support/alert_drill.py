"""Services that are killed and started again under the eyes of a real Prometheus."""

import json
import re
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from local.scraper import local_config
from tests.support.processes import Part

from core.settings import ROOT

FASTER = 20
"""By how much each alert's `for` is shortened here; its expression is the one in production."""

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def shortened(rules: dict[str, Any]) -> dict[str, Any]:
    """The rules with every `for` divided by `FASTER`."""
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                number, unit = re.fullmatch(r"(\d+)([smh])", rule["for"]).groups()  # type: ignore[union-attr]
                rule["for"] = f"{max(1, int(number) * _SECONDS[unit] // FASTER)}s"
    return rules


def configuration(folder: Path, ports: Mapping[str, int]) -> Path:
    """The project's configuration with a scrape each second and the shortened rules."""
    config = local_config(yaml.safe_load((ROOT / "prometheus.yml").read_text()), ports)
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    copies = []
    for source in map(Path, config["rule_files"]):
        copy = folder / source.name
        copy.write_text(yaml.safe_dump(shortened(yaml.safe_load(source.read_text()))))
        copies.append(str(copy))
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config | {"rule_files": copies}))
    return path


class Watcher:
    """Asks Prometheus for the alerts."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def alert(self, name: str, job: str | None) -> dict[str, Any] | None:
        """The alert with its state, or None while it is inactive or Prometheus does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/alerts", timeout=10) as answer:
                alerts = json.load(answer)["data"]["alerts"]
        except OSError:
            return None
        for alert in alerts:
            labels = alert["labels"]
            if labels["alertname"] == name and job in (None, labels.get("job")):
                return dict(alert)
        return None

    def state(self, name: str, job: str | None) -> str:
        """`inactive`, `pending` or `firing`."""
        alert = self.alert(name, job)
        return str(alert["state"]) if alert else "inactive"

    def up(self, job: str) -> bool:
        """Whether the last scrape of a job succeeded."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/targets", timeout=10) as answer:
                targets = json.load(answer)["data"]["activeTargets"]
        except OSError:
            return False
        return any(t["labels"]["job"] == job and t["health"] == "up" for t in targets)


def until(what: str, condition: Callable[[], bool], seconds: float) -> float:
    """Wait for a condition; the seconds it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            pytest.fail(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)
    return time.monotonic() - began


def drill(watcher: Watcher, part: Part, alert: str, job: str | None) -> str:
    """Kill a service and see its alert pending within a minute, firing, and gone after a restart.

    Returns what was measured, as a sentence.
    """
    assert watcher.state(alert, job) == "inactive"
    part.kill()
    pending = until(f"{alert} pending", lambda: watcher.state(alert, job) != "inactive", 60)
    firing = until(f"{alert} firing", lambda: watcher.state(alert, job) == "firing", 60)
    firing_alert = watcher.alert(alert, job)
    assert firing_alert is not None
    assert "{{" not in firing_alert["annotations"]["summary"]

    def back() -> bool:
        part.start()  # again, should it have given up: Docker restarts it too
        return watcher.state(alert, job) == "inactive"

    resolved = until(f"{alert} resolved", back, 420)
    return (
        f"{alert} pending after {pending:.0f} s, firing {firing:.0f} s later, "
        f"resolved {resolved:.0f} s after the restart"
    )
