"""What most tests of ingestion need: metrics, a clock, a broker and a journal."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.support.ingestion_fakes import FakeClock, FakeDelivery

from data_ingestion.journal import Journal
from monitoring.producer_metrics import ProducerMetrics


@pytest.fixture
def metrics() -> ProducerMetrics:
    return ProducerMetrics(CollectorRegistry())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def delivery() -> FakeDelivery:
    return FakeDelivery()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "new" / "journal.sqlite", days=14)
    yield opened
    opened.close()
