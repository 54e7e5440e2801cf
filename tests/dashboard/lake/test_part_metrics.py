"""What the parts say of themselves: their last work, and the rates of what flows."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import generate_latest

from dashboard.lake.part_metrics import LAST_WORK, WORKERS, Flow, Metrics, read_metrics, works
from monitoring.metrics_document import catalogue
from monitoring.prometheus_metrics import new_registry
from monitoring.stream_metrics import StreamMetrics

NOW = datetime(2026, 11, 28, 14, 10, tzinfo=UTC)


def stream(seconds: float = 0, **counts: float) -> Metrics:
    """What a stream exports that committed so many seconds ago."""
    registry = new_registry("stream")
    metrics = StreamMetrics(registry)
    metrics.last_batch.set(NOW.timestamp() - seconds)
    metrics.records.inc(counts.get("records", 0))
    metrics.repeats.inc(counts.get("repeats", 0))
    metrics.quarantined.labels("empty").inc(counts.get("refused", 0))
    metrics.lag_records.set(counts.get("waiting", 0))
    metrics.rows.labels("scored_transactions").inc(counts.get("scored", 0))
    metrics.rows.labels("raw_transactions").inc(999)
    return read_metrics(generate_latest(registry).decode())


def test_every_metric_that_is_read_is_exported() -> None:
    exported = {name for metric in catalogue() for name in metric.series}
    read = {name for _, name, _ in LAST_WORK.values()}
    assert read | {"bitcoin_api_model_version"} <= exported


def test_each_part_says_when_it_last_worked() -> None:
    at = NOW.timestamp()
    producer = {LAST_WORK["source"][1]: at - 2, LAST_WORK["producer"][1]: at - 1}
    trainer = {LAST_WORK["trainer"][1]: 0.0}
    casework = {LAST_WORK["casework"][1]: at - 4}
    api = {"bitcoin_api_model_version": 3.0}
    answers = {"producer": producer, "stream": stream(5, waiting=1_200), "trainer": trainer}
    answers |= {"casework": casework}
    said = {work.part: work.sentence(NOW) for work in works(answers | {"API": api})}
    assert tuple(said) == WORKERS
    assert said["source"] == "answered 2 s ago"
    assert said["producer"] == "published 1 s ago"
    assert said["stream"] == "committed 5 s ago; 1,200 records wait"
    assert said["API"] == "scores by version 3"
    assert said["trainer"] == "has not trained since its start"


def test_without_a_model_the_api_judges_by_rules() -> None:
    (work,) = works({"API": {"bitcoin_api_model_version": 0.0}})
    assert work.sentence(NOW) == "judges by rules alone"


def test_a_part_that_does_not_answer_says_nothing() -> None:
    assert works({}) == () and works({"producer": {}, "API": {}}) == ()


@pytest.mark.parametrize("text", ["", "<html>", "bitcoin_stream_records_total nothing\n"])
def test_a_text_that_is_no_metrics_has_none(text: str) -> None:
    assert read_metrics(text) == {}


def test_what_arrives_is_compared_with_what_is_scored() -> None:
    flow = Flow()
    flow.add(NOW, stream(records=1_000, scored=900))
    assert flow.rates() is None
    later = stream(records=1_800, repeats=80, refused=20, waiting=100, scored=1_600)
    flow.add(NOW + timedelta(seconds=100), later)
    rates = flow.rates()
    assert rates is not None
    assert (rates.arrived, rates.scored, rates.waiting) == (8.0, 7.0, 100)


def test_only_five_minutes_count() -> None:
    flow = Flow()
    flow.add(NOW, stream(records=1))
    for minute in range(1, 12):
        flow.add(NOW + timedelta(minutes=minute), stream(records=600, scored=600))
    rates = flow.rates()
    assert rates is not None and rates.arrived == 0


def test_a_stream_that_began_anew_is_counted_anew() -> None:
    flow = Flow()
    flow.add(NOW, stream(records=1_000, scored=1_000))
    flow.add(NOW + timedelta(seconds=10), stream(records=10, scored=10))
    assert flow.rates() is None
    flow.add(NOW + timedelta(seconds=20), stream(records=80, scored=80))
    rates = flow.rates()
    assert rates is not None and rates.scored == 7.0
    flow.add(NOW + timedelta(seconds=30), {})
    assert flow.rates() is None


def test_what_waited_for_the_start_of_the_stream_did_not_arrive_since() -> None:
    flow = Flow()
    flow.add(NOW, stream(waiting=0))
    flow.add(NOW + timedelta(seconds=10), stream(waiting=60_000))
    assert flow.rates() is None
    flow.add(NOW + timedelta(seconds=20), stream(records=50_000, scored=50_000, waiting=10_000))
    flow.add(NOW + timedelta(seconds=30), stream(records=60_000, scored=60_000, waiting=70))
    rates = flow.rates()
    assert rates is not None and rates.arrived == 7.0
