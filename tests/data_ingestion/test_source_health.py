"""Whether the source answers: in the log, in the metric and over HTTP."""

import logging
from collections.abc import Iterator

import pytest
import requests
from prometheus_client import CollectorRegistry
from tests.support.blockchain_samples import NOW
from tests.support.ingestion_fakes import FakeClock, metric_value

from data_ingestion.source_health import REMEDIES, HealthServer, SourceHealth
from monitoring.producer_metrics import NO_REQUEST, RESULTS, ProducerMetrics


@pytest.fixture
def source(clock: FakeClock, metrics: ProducerMetrics) -> SourceHealth:
    return SourceHealth(120, clock, metrics)


def test_a_short_failure_is_no_silence(
    source: SourceHealth,
    clock: FakeClock,
    metrics: ProducerMetrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source.answered()
    clock.now += 119
    source.failed("timeout", "no answer")
    source.log_silence()
    assert source.silent_since is None
    assert source.state == {"silent_since": None, "reason": "", "remedy": ""}
    assert caplog.messages == []
    assert metric_value(metrics, "source_silent_since_timestamp_seconds") == 0


def test_before_the_first_answer_one_failure_is_silence(
    source: SourceHealth, clock: FakeClock
) -> None:
    """Whoever starts without a network reads so at once, not two minutes later."""
    clock.now += 2
    states = [source.state]
    source.failed("connection", "name not known")
    states.append(source.state)
    source.answered()
    states.append(source.state)
    assert [state["silent_since"] for state in states] == [None, NOW, None]
    assert "HTTPS_PROXY=http://host:port" in states[1]["remedy"]


def test_a_producer_that_waits_for_the_broker_does_not_blame_the_source(
    source: SourceHealth, clock: FakeClock, metrics: ProducerMetrics
) -> None:
    source.failed("timeout", "no answer")
    source.answered()
    clock.now += 500
    assert source.state["reason"] == "no request was made since"
    assert "Kafka" in source.state["remedy"]
    assert metric_value(metrics, "source_silent", reason="no_request") == 1


@pytest.mark.parametrize("result", [*RESULTS, NO_REQUEST])
def test_every_reason_has_a_remedy(source: SourceHealth, clock: FakeClock, result: str) -> None:
    clock.now += 500
    source.failed(result, "x" * 5_000)
    assert source.state["remedy"].endswith(".")
    assert len(source.state["reason"]) <= 400


def test_silence_has_its_start_and_reason(
    source: SourceHealth, clock: FakeClock, metrics: ProducerMetrics
) -> None:
    clock.now += 200
    source.failed("http_5xx", "HTTP status 503")
    assert source.state == {
        "silent_since": NOW,
        "reason": "HTTP status 503",
        "remedy": REMEDIES["http_5xx"],
    }
    assert metric_value(metrics, "source_silent", reason="http_5xx") == 1
    assert metric_value(metrics, "source_silent", reason="timeout") == 0
    assert metric_value(metrics, "source_silent_since_timestamp_seconds") == NOW


def test_silence_is_logged_once_a_minute(
    source: SourceHealth, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(30):
        clock.now += 10
        source.failed("http_5xx", "HTTP status 503")
        source.log_silence()
    line = (
        "event=source_silent since=2023-11-14T22:13:20Z reason=HTTP status 503 "
        f"remedy={REMEDIES['http_5xx']}"
    )
    assert caplog.messages == [line] * 5


def test_an_answer_ends_the_silence(
    source: SourceHealth,
    clock: FakeClock,
    metrics: ProducerMetrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock.now += 200
    source.failed("timeout", "no answer")
    source.answered()
    assert source.silent_since is None
    assert metric_value(metrics, "source_silent_since_timestamp_seconds") == 0
    assert caplog.messages[-1] == "event=source_answers_again silent_seconds=200"


class Served:
    """A health server on a free port."""

    def __init__(self, source: SourceHealth, metrics: ProducerMetrics) -> None:
        self.source = source
        self.server = HealthServer(metrics.registry, source)
        self.port = self.server.start("127.0.0.1", 0)

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)


@pytest.fixture
def server(source: SourceHealth, metrics: ProducerMetrics) -> Iterator[Served]:
    served = Served(source, metrics)
    yield served
    served.server.stop()


def test_it_is_ready_while_the_source_answers(server: Served) -> None:
    answer = server.get("/ready")
    assert (answer.status_code, answer.json()) == (
        200,
        {"ready": True, "source": {"silent_since": None, "reason": "", "remedy": ""}},
    )


def test_it_returns_why_it_is_not_ready(server: Served, clock: FakeClock) -> None:
    clock.now += 500
    server.source.failed("http_429", "HTTP status 429")
    answer = server.get("/ready")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "source": {
            "silent_since": NOW,
            "reason": "HTTP status 429",
            "remedy": REMEDIES["http_429"],
        },
    }


def test_a_silent_source_does_not_make_it_unhealthy(server: Served, clock: FakeClock) -> None:
    clock.now += 500
    assert server.get("/health").json() == {"status": "ok"}


def test_its_metrics_are_there_from_the_start(server: Served) -> None:
    text = server.get("/metrics").text
    assert 'bitcoin_producer_published_total{topic="bitcoin-transactions"} 0.0' in text
    result = '{endpoint="rawblock",result="http_429"} 0.0'
    assert f"bitcoin_producer_source_requests_total{result}" in text


def test_a_taken_port_is_an_error(server: Served) -> None:
    other = HealthServer(CollectorRegistry(), server.source)
    with pytest.raises(OSError, match="in use"):
        other.start("127.0.0.1", server.port)
