from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Histogram
from pyspark.sql.streaming.listener import StreamingQueryProgress

from core.detector.champion import Champion
from data_processing.telemetry import QueryProgress, bind_gauges
from monitoring.stream_metrics import StreamMetrics, observe_all


def progress(number: int = 0, rows: int = 1) -> StreamingQueryProgress:
    """What Spark says of a micro-batch of 1.5 s."""
    source = {
        **{"description": "KafkaV2", "inputRowsPerSecond": 1.0, "processedRowsPerSecond": 1.0},
        **{"startOffset": None, "endOffset": None, "latestOffset": None, "numInputRows": rows},
    }
    return StreamingQueryProgress.fromJson(
        {
            **{"id": str(UUID(int=1)), "runId": str(UUID(int=2)), "name": "intake"},
            **{"timestamp": "2026-01-01T00:00:00.000Z", "batchId": number, "batchDuration": 1_500},
            **{"stateOperators": [], "sources": [source], "numInputRows": rows},
            "sink": {"description": "ForeachBatchSink", "numOutputRows": -1},
        }
    )


class FakeQuery:
    """A query that remembers the progress of its newest three micro-batches."""

    def __init__(self) -> None:
        self.recentProgress: list[StreamingQueryProgress] = []

    @property
    def lastProgress(self) -> StreamingQueryProgress | None:  # noqa: N802
        return self.recentProgress[-1] if self.recentProgress else None

    def end_of(self, newest: StreamingQueryProgress) -> None:
        self.recentProgress = [*self.recentProgress[-2:], newest]


@pytest.fixture
def query() -> FakeQuery:
    return FakeQuery()


@pytest.fixture
def look(metrics: StreamMetrics, query: FakeQuery) -> Callable[[], None]:
    return partial(QueryProgress(metrics).look, cast(Any, query))


def micro_batches(metrics: StreamMetrics) -> float:
    return float(metrics.batch_seconds._sum.get() / 1.5)


def test_a_trigger_without_records_is_no_batch(
    metrics: StreamMetrics, query: FakeQuery, look: Callable[[], None]
) -> None:
    look()
    query.end_of(progress(rows=0))
    look()
    assert micro_batches(metrics) == 0


def test_each_micro_batch_is_recorded_once_however_many_end_between_two_looks(
    metrics: StreamMetrics, query: FakeQuery, look: Callable[[], None]
) -> None:
    for numbers in ([277, 278], [], [279], [280, 281, 282]):  # it goes on from a checkpoint
        for number in numbers:
            query.end_of(progress(number))
        look()
    assert micro_batches(metrics) == 6


def test_many_observations_at_once_are_as_many_one_by_one() -> None:
    values = np.array([0.0, 0.25, 0.3, 1.0, 200.0])
    one, many = (Histogram(name, "x", buckets=(0.25, 1, 8), registry=None) for name in "ab")
    for value in values:
        one.observe(value)
    observe_all(many, values)
    assert samples(one) == samples(many)


def samples(histogram: Histogram) -> list[tuple[str, float]]:
    (metric,) = histogram.collect()
    return [
        (str(sample.labels), sample.value)
        for sample in metric.samples
        if not sample.name.endswith("_created")
    ]


def bound_gauges(champion: Champion | None, lake: str) -> CollectorRegistry:
    registry = CollectorRegistry()
    rates = cast(Any, SimpleNamespace(newest=15.5))
    metrics = StreamMetrics(registry)
    bind_gauges(metrics, lambda: champion, {1, 2, 3}, rates, lake, lambda _: (100, 60, 40))
    return registry


def test_model_memory_and_disk_are_read_at_the_scrape(tmp_path: Path) -> None:
    champion = cast(Any, SimpleNamespace(version="7"))
    registry = bound_gauges(champion, str(tmp_path))
    assert registry.get_sample_value("bitcoin_stream_model_version") == 7
    assert registry.get_sample_value("bitcoin_stream_known_hashes") == 3
    assert registry.get_sample_value("bitcoin_stream_market_fee_rate_sat_per_vb") == 15.5
    assert registry.get_sample_value("bitcoin_stream_disk_bytes") == 100
    assert registry.get_sample_value("bitcoin_stream_disk_free_bytes") == 40


def test_without_a_champion_or_a_disk_they_are_zero() -> None:
    registry = bound_gauges(None, "s3://bucket/lake")
    assert registry.get_sample_value("bitcoin_stream_model_version") == 0
    assert registry.get_sample_value("bitcoin_stream_disk_bytes") == 0
