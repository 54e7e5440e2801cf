"""What the producer answers over HTTP."""

from collections.abc import Iterator

import pytest
import requests
from prometheus_client import CollectorRegistry
from tests.data_ingestion.samples import FakeClock

from data_ingestion.source_state import SourceState
from data_ingestion.status import StatusServer
from monitoring.producer_metrics import ProducerMetrics


class Served:
    """A status server on a free port."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        metrics = ProducerMetrics(CollectorRegistry())
        self.source = SourceState(120, self.clock, metrics)
        self.server = StatusServer(metrics.registry, self.source)
        self.port = self.server.start("127.0.0.1", 0)

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.server.stop()


def test_it_is_ready_while_the_source_answers(served: Served) -> None:
    answer = served.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "source": "answers"})


def test_it_says_why_it_is_not_ready(served: Served) -> None:
    served.clock.now += 500
    served.source.failed("HTTP status 429")
    answer = served.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["source"].endswith("HTTP status 429")


def test_a_silent_source_does_not_make_it_unhealthy(served: Served) -> None:
    served.clock.now += 500
    assert served.get("/health").json() == {"status": "ok"}


def test_its_metrics_are_there_from_the_start(served: Served) -> None:
    text = served.get("/metrics").text
    assert 'bitcoin_producer_published_total{topic="bitcoin-transactions"} 0.0' in text
    result = '{endpoint="rawblock",result="http_429"} 0.0'
    assert f"bitcoin_producer_source_requests_total{result}" in text


def test_a_taken_port_is_an_error(served: Served) -> None:
    other = StatusServer(CollectorRegistry(), served.source)
    with pytest.raises(OSError, match="in use"):
        other.start("127.0.0.1", served.port)
