"""A real Prometheus on the running stack has an answer to every query of panels and rules."""

import json
import shutil
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from math import isnan
from typing import Any

import pytest
from tests.monitoring.test_metrics_document import FOREIGN
from tests.support.demo_stack import READY_SECONDS, SCORED_SECONDS, TRANSACTION, Demo, ask
from tests.support.monitoring_files import alerts, filled, panel_expressions, rules
from tests.support.peoples_work import go_on, work
from tests.support.processes import missing

from core.settings import ROOT
from monitoring.metrics_document import catalogue

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

ANSWER_SECONDS = 240
JOBS = {
    *("kafka", "simulator", "producer", "stream", "mlflow", "trainer", "api", "dashboard"),
    *("casework", "prometheus"),
}

ONLY_A_FAULT_PRODUCES = {
    # the source is silent for minutes: tests/monitoring/test_drill.py makes it so
    "bitcoin-pipeline: Pause after failures: B",
    # so it does here, and only then is there a reason: tests/data_ingestion/test_source_health.py
    "bitcoin-pipeline: Why the source is silent: A",
    # a receiver refuses: tests/casework/alerting/test_alerting.py
    "bitcoin-pipeline: Receivers that fail: A",
}
NO_QUANTILE_YET = {
    # a browser asks: tests/e2e/test_pipeline.py opens one; until then there is no quantile of it
    "bitcoin-api: Time to answer a browser: A",
    # a case is told of once within its cool-down, so none may be within the last minute
    "bitcoin-pipeline: From alert to delivery: A",
    "bitcoin-pipeline: From alert to delivery: B",
}


OVERPAID = TRANSACTION | {"fee": 10**9, "input_value": 10**9 + 995_000}


class Prometheus:
    """Prometheus's HTTP interface."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=20) as answer:
            return json.load(answer)["data"]

    def values(self, expression: str) -> list[float]:
        """The values of an expression now; raises `HTTPError` when it does not parse."""
        samples = self.get("query", query=expression)["result"]
        return [float(sample["value"][1]) for sample in samples]


@pytest.fixture(scope="module")
def prometheus(demo: Demo) -> Iterator[Prometheus]:
    if shutil.which("prometheus") is None:
        missing("Prometheus is not installed (Debian: apt-get install prometheus)")
    demo.wait_for("table of URLs", demo.urls, READY_SECONDS)
    demo.wait_for("scored row", lambda: demo.rows("scored_transactions", "hash"), SCORED_SECONDS)
    demo.wait_for_champion()
    work(demo)
    yield Prometheus(demo.url("PROMETHEUS_PORT"))


def until_none(left: Callable[[], list[str]], keep_busy: Callable[[], object]) -> None:
    """Wait until nothing is left, or fail with what is."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while rest := left():
        assert time.monotonic() < deadline, rest
        keep_busy()
        time.sleep(2)


def test_every_target_is_up(demo: Demo, prometheus: Prometheus) -> None:
    def down() -> list[str]:
        targets = prometheus.get("targets")["activeTargets"]
        up = {t["labels"]["job"] for t in targets if t["health"] == "up"}
        return sorted(JOBS - up)

    until_none(down, lambda: None)
    assert {t["labels"]["job"] for t in prometheus.get("targets")["activeTargets"]} == JOBS


def test_every_expression_of_a_panel_or_rule_returns_data(
    demo: Demo, prometheus: Prometheus
) -> None:
    asked = {place: filled(text) for place, text in panel_expressions()}
    asked |= {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}

    def left() -> list[str]:
        return [place for place, text in asked.items() if not answered(place, text)]

    def answered(place: str, text: str) -> bool:
        values = prometheus.values(text)
        if place in ONLY_A_FAULT_PRODUCES:
            return True
        if place in NO_QUANTILE_YET:
            return bool(values)
        return any(not isnan(value) for value in values)

    def keep_busy() -> None:
        ask(f"{demo.url('API_PORT')}/predict", TRANSACTION)
        go_on(demo)

    until_none(left, keep_busy)


def test_every_rule_is_loaded_and_evaluated_without_an_error(
    prometheus: Prometheus,
) -> None:
    groups = prometheus.get("rules")["groups"]
    loaded = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert set(alerts()) <= set(loaded)
    assert {name: r["lastError"] for name, r in loaded.items() if r.get("lastError")} == {}


def test_the_running_stack_exports_the_whole_catalogue_and_what_others_bring(
    prometheus: Prometheus,
) -> None:
    names = set(prometheus.get("label/__name__/values"))
    wanted = {name for metric in catalogue() for name in metric.series}
    assert (wanted | FOREIGN) - names == set()


MOVED_ELSEWHERE = {
    "bitcoin_producer_source_backoff_seconds": "monitoring/test_producer_metrics.py",
    "bitcoin_producer_source_silent_since_timestamp_seconds": (
        "data_ingestion/test_source_health.py"
    ),
    "bitcoin_producer_source_silent": "data_ingestion/test_source_health.py",
    "bitcoin_producer_dead_letters_total": "data_ingestion/test_polling.py",
    "bitcoin_producer_delivery_failures_total": "monitoring/test_causes.py",
    "bitcoin_producer_unreadable_pages_total": "data_ingestion/test_polling.py",
    "bitcoin_producer_blocks_behind": "data_ingestion/test_polling.py",
    "bitcoin_producer_blocks_skipped_total": "data_ingestion/test_chain_follower.py",
    "bitcoin_producer_reorganisations_total": "data_ingestion/test_chain_follower.py",
    "bitcoin_producer_unacknowledged": "data_ingestion/test_kafka_producer.py",
    "bitcoin_stream_repeats_total": "monitoring/test_causes.py",
    "bitcoin_stream_quarantined_total": "monitoring/test_causes.py",
    "bitcoin_stream_failures_total": "monitoring/test_causes.py",
    "bitcoin_stream_lag_records": "data_processing/test_waiting_records.py",
    "bitcoin_stream_lag_seconds": "data_processing/test_waiting_records.py",
    "bitcoin_stream_unscored_rows": "data_processing/chores/test_backlog.py",
    "bitcoin_stream_deleted_rows_total": "data_processing/chores/test_housekeeping.py",
    "bitcoin_stream_loop_failures_total": "core/test_background.py",
    "bitcoin_stream_webhook_muted_total": "data_processing/chores/test_webhook.py",
    "bitcoin_stream_webhook_posts_total": "data_processing/chores/test_webhook.py",
    "bitcoin_stream_webhook_waiting": "data_processing/chores/test_webhook.py",
    "bitcoin_trainer_recalibrations_total": "model/test_service.py",
    "bitcoin_trainer_report_failures_total": "model/test_service.py",
    "bitcoin_trainer_step_failures_total": "model/test_service.py",
    "bitcoin_trainer_drift_index": "model/test_service.py",
    "bitcoin_trainer_flag_rate_ratio": "model/test_service.py",
    "bitcoin_api_loop_failures_total": "api/test_heartbeat.py",
    "bitcoin_api_requests_in_flight": "api/test_app.py",
    "bitcoin_dashboard_callback_duration_seconds": "dashboard/test_server.py",
    "bitcoin_dashboard_errors_total": "dashboard/lake/test_recent.py",
    "bitcoin_dashboard_loop_failures_total": "core/test_background.py",
    "bitcoin_dashboard_viewers": "dashboard/test_server.py",
    "bitcoin_simulator_faults_total": "data_ingestion/test_simulator.py",
    "bitcoin_casework_lag_records": "casework/test_service.py",
    "bitcoin_casework_listener_failures_total": "casework/test_building.py",
    "bitcoin_casework_loop_failures_total": "core/test_background.py",
    "bitcoin_casework_merges_total": "casework/test_building.py",
    "bitcoin_api_stream_events_total": "api/routes/test_anomaly_stream.py",
    "bitcoin_api_streams": "api/routes/test_anomaly_stream.py",
    "bitcoin_api_streams_ended_total": "api/routes/test_anomaly_stream.py",
    "bitcoin_alerts_failing_since_timestamp_seconds": "casework/alerting/test_alerting.py",
    "bitcoin_alerts_loop_failures_total": "core/test_background.py",
}
"""Metrics that an undisturbed demo does not change, each with the test that changes it."""


def test_every_metric_moves_here_or_where_its_cause_is_made(
    demo: Demo, prometheus: Prometheus
) -> None:
    ask(f"{demo.url('SIMULATOR_PORT')}/simulator/inject?kind=fat_finger_fee", method="POST")
    wanted = [metric for metric in catalogue() if metric.name not in MOVED_ELSEWHERE]

    def unmoved() -> list[str]:
        return [m.name for m in wanted if not any(prometheus.values(largest(m.series)))]

    def largest(series: tuple[str, ...]) -> str:
        return f"max_over_time({series[1] if len(series) > 1 else series[0]}[1h])"

    def predict() -> None:
        go_on(demo)
        for transaction in (TRANSACTION, OVERPAID):
            ask(f"{demo.url('API_PORT')}/predict", transaction)

    until_none(unmoved, predict)


@pytest.mark.parametrize(("name", "file"), MOVED_ELSEWHERE.items())
def test_what_moves_elsewhere_is_named_there(name: str, file: str) -> None:
    text = (ROOT / "tests" / file).read_text()
    attribute = name.removesuffix("_total").split("_", 2)[2]
    short = attribute.removesuffix("_timestamp_seconds").removesuffix("_duration_seconds")
    assert any(word in text for word in (name, attribute, short, short.rsplit("_", 1)[0]))
