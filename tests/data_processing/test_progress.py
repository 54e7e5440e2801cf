import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import Histogram

from data_processing.progress import ProgressListener
from monitoring.stream_metrics import StreamMetrics, observe_all


def progress(rows: int, read: dict[str, Any], latest: dict[str, Any]) -> SimpleNamespace:
    source = SimpleNamespace(endOffset=json.dumps(read), latestOffset=json.dumps(latest))
    return SimpleNamespace(numInputRows=rows, batchDuration=1_500, sources=[source])


def test_the_lag_is_what_all_partitions_still_hold(metrics: StreamMetrics) -> None:
    read, latest = {"a": {"0": 5, "1": 7}}, {"a": {"0": 9, "1": 7}, "b": {"0": 3}}
    ProgressListener(metrics).observe(progress(10, read, latest))
    assert metrics.lag_records._value.get() == 4 + 3
    assert metrics.records._value.get() == 10
    assert metrics.batch_seconds._sum.get() == 1.5


def test_a_trigger_without_records_is_no_batch(metrics: StreamMetrics) -> None:
    ProgressListener(metrics).observe(progress(0, {}, {}))
    assert metrics.batch_seconds._sum.get() == 0


@pytest.mark.parametrize("missing", [None, "None", ""])
def test_offsets_that_spark_does_not_know_are_no_lag(
    metrics: StreamMetrics, missing: str | None
) -> None:
    source = SimpleNamespace(endOffset=missing, latestOffset=missing)
    ProgressListener(metrics).observe(
        SimpleNamespace(numInputRows=1, batchDuration=1, sources=[source])
    )
    assert metrics.lag_records._value.get() == 0


def test_many_observations_at_once_are_as_many_one_by_one() -> None:
    values = np.array([0.0, 0.25, 0.3, 1.0, 200.0])
    one, many = (Histogram(name, "x", buckets=(0.25, 1, 8), registry=None) for name in "ab")
    for value in values:
        one.observe(value)
    observe_all(many, values)
    assert told(one) == told(many)


def told(histogram: Histogram) -> list[tuple[str, float]]:
    (metric,) = histogram.collect()
    return [
        (str(sample.labels), sample.value)
        for sample in metric.samples
        if not sample.name.endswith("_created")
    ]
