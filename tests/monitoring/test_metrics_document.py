"""One catalogue: what is exported is documented and used, what is used exists."""

import re

import pytest
from prometheus_client import CollectorRegistry
from tests.support.monitoring_files import names, rules, runbook_expressions, used_names

from core.settings import ROOT
from monitoring.metrics_document import Metric, catalogue, of_service, render
from monitoring.prometheus_metrics import SERVICES, service_metrics

FOREIGN = {
    "up",
    "bitcoin_build_info",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "mlflow_http_request_total",
    "prometheus_rule_evaluation_failures_total",
    "kafka_broker_state",
    "kafka_active_controllers",
    "kafka_offline_partitions",
    "kafka_under_replicated_partitions",
    "kafka_log_size_bytes",
    "kafka_topic_messages_in_total",
    "kafka_topic_bytes_in_total",
    "kafka_topic_bytes_out_total",
}
"""Others' metrics that are used here; the stack's test sees that they are there."""

BY_THE_DOOR = {"caddy_http_request_duration_seconds_count"}
"""What only docker-compose.secure.yml brings."""

ALL = catalogue()
UNBOUNDED = {"hash", "address", "transaction", "path", "url", "user", "id", "instance", "ip"}


def test_nothing_is_used_that_does_not_exist() -> None:
    ours = {name for metric in ALL for name in metric.series}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    queried = used_names().union(*map(names, runbook_expressions()))
    assert queried - ours - recorded - FOREIGN - BY_THE_DOOR == set()


def test_nothing_is_exported_that_no_dashboard_and_no_rule_shows() -> None:
    used = used_names()
    assert [metric.name for metric in ALL if not used & set(metric.series)] == []


def test_every_recorded_series_is_used() -> None:
    assert {rule["record"] for rule in rules() if "record" in rule} <= used_names()


def test_others_metrics_are_listed_only_while_they_are_used() -> None:
    assert used_names() >= FOREIGN | BY_THE_DOOR


def test_the_document_is_what_the_classes_say() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == render(), (
        "run: python -m monitoring.metrics_document > docs/metrics.md"
    )


@pytest.mark.parametrize("metric", ALL, ids=lambda m: m.name)
def test_a_name_follows_the_practice(metric: Metric) -> None:
    assert re.fullmatch(r"bitcoin_[a-z]+(_[a-z0-9]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent)(_|$)", metric.name)
    assert not set(metric.labels) & UNBOUNDED
    assert metric.help


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_counters_and_histograms_are_there_at_zero_from_the_start(service: str) -> None:
    registry = CollectorRegistry()
    service_metrics(service, registry)
    empty = {
        family.name
        for family in registry.collect()
        if family.type in ("counter", "histogram") and not family.samples
    }
    # the API learns its routes from the application: tests/api sees them begin at zero; alerts
    # learn theirs from a file: tests/casework sees them come and go
    assert empty <= {
        "bitcoin_api_requests",
        "bitcoin_api_request_seconds",
        "bitcoin_alerts_deliveries",
    }


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_two_of_one_service_do_not_meet(service: str) -> None:
    assert of_service(service) == of_service(service)


def test_no_name_stands_for_two_services() -> None:
    every_name = [metric.name for metric in ALL]
    assert len(every_name) == len(set(every_name))
