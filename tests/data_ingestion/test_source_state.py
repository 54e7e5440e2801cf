"""Whether the source answers, as the log, /ready and the metric tell it."""

import logging

import pytest
from prometheus_client import CollectorRegistry
from tests.data_ingestion.samples import NOW, FakeClock, value

from data_ingestion.source_state import SourceState
from monitoring.producer_metrics import ProducerMetrics


@pytest.fixture
def metrics() -> ProducerMetrics:
    return ProducerMetrics(CollectorRegistry())


def state(clock: FakeClock, metrics: ProducerMetrics) -> SourceState:
    return SourceState(120, clock, metrics)


def test_a_short_failure_is_no_silence(
    metrics: ProducerMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    source = state(clock, metrics)
    clock.now += 119
    source.failed("timeout")
    source.tell()
    assert source.silent_since is None
    assert source.sentence == "answers"
    assert caplog.messages == []
    assert value(metrics, "source_silent_since_timestamp_seconds") == 0


def test_silence_says_since_when_and_why(metrics: ProducerMetrics) -> None:
    clock = FakeClock()
    source = state(clock, metrics)
    clock.now += 200
    source.failed("HTTP status 503")
    assert source.silent_since == NOW
    assert source.sentence == "silent since 2023-11-14T22:13:20Z: HTTP status 503"
    assert value(metrics, "source_silent_since_timestamp_seconds") == NOW


def test_silence_is_logged_once_a_minute(
    metrics: ProducerMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    source = state(clock, metrics)
    for _ in range(30):
        clock.now += 10
        source.failed("HTTP status 503")
        source.tell()
    assert sum("silent since" in line for line in caplog.messages) == 4


def test_an_answer_ends_the_silence(
    metrics: ProducerMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = FakeClock()
    source = state(clock, metrics)
    clock.now += 200
    source.failed("timeout")
    source.answered()
    assert source.silent_since is None
    assert value(metrics, "source_silent_since_timestamp_seconds") == 0
    assert caplog.messages[-1] == "source answers again after=200s"
