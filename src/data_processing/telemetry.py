"""The stream's metrics: of each micro-batch, of Spark's query, and gauges read at each scrape."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from core.detector.champion import Champion
from data_processing.going_rates import GoingRates
from data_processing.micro_batch import MicroBatch
from monitoring.stream_metrics import StreamMetrics, observe_all

log = logging.getLogger(__name__)


def record_micro_batch(metrics: StreamMetrics, batch: MicroBatch) -> None:
    """Record what a micro-batch wrote, once it is committed."""
    new = batch.new.num_rows
    metrics.repeats.inc(batch.repeats)
    metrics.last_batch.set_to_current_time()
    for stage, seconds in batch.seconds.items():
        metrics.stage_seconds.labels(stage).inc(seconds)
    metrics.read(batch.newest.timestamp())
    metrics.rows.labels("raw_transactions").inc(new)
    metrics.rows.labels("quarantine").inc(batch.rejects.num_rows)
    metrics.rows.labels("watched").inc(batch.watched)
    metrics.rows.labels("confirmations").inc(batch.confirmed)
    for kind in batch.rejects["kind"].to_pylist():
        metrics.quarantined.labels(kind).inc()
    metrics.rows.labels("scored_transactions").inc(batch.verdicts.num_rows)
    for flagged_by in filter(None, batch.verdicts["flagged_by"].to_pylist()):
        metrics.anomalies.labels(flagged_by).inc()
    if batch.scored:
        appended = np.asarray(batch.new["append_time"].cast(pa.int64()).to_numpy(), np.float64)
        observe_all(metrics.scoring_latency, time.time() - appended / 1e6)
        seen = np.asarray(batch.new["first_seen"].to_numpy(), np.float64)
        observe_all(metrics.seen_to_scored, time.time() - seen)
        observe_all(metrics.scores, batch.verdicts["anomaly_score"].to_numpy())


def bind_gauges(
    metrics: StreamMetrics,
    champion: Callable[[], Champion | None],
    seen: Sized,
    rates: GoingRates,
    lake: str,
    disk_usage: Callable[[str], tuple[int, int, int]] = shutil.disk_usage,
) -> None:
    """Let the gauges of model, memory and disk read their values at each scrape.

    `disk_usage` returns total, used and free bytes. The disk gauges of a lake that is no local
    folder stay 0.
    """

    def version() -> float:
        current = champion()
        return float(current.version) if current else 0.0

    metrics.model_version.set_function(version)
    metrics.known_keys.set_function(lambda: float(len(seen)))
    metrics.market_fee_rate.set_function(lambda: rates.newest)
    if Path(lake).is_dir():
        metrics.disk_bytes.set_function(lambda: float(disk_usage(lake)[0]))
        metrics.disk_free_bytes.set_function(lambda: float(disk_usage(lake)[2]))


class QueryListener(StreamingQueryListener):
    """Records the events of Spark's query: progress, lag and failure."""

    def __init__(self, metrics: StreamMetrics) -> None:
        self._metrics = metrics

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802, D102
        log.info("event=query_started id=%s", event.id)

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802, D102
        self.record(event.progress)

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: ARG002, N802, D102
        self._metrics.behind(0, time.time())

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802, D102
        if event.exception:
            self._metrics.failures.inc()

    def record(self, progress: Any) -> None:
        """Record a `StreamingQueryProgress`."""
        self._metrics.behind(sum(map(_unread_records, progress.sources)), time.time())
        if progress.numInputRows:
            self._metrics.records.inc(progress.numInputRows)
            self._metrics.batch_seconds.observe(progress.batchDuration / 1_000)


def _unread_records(source: Any) -> int:
    """Records of all partitions that Kafka has and the query has not read yet."""
    latest, read = _offsets(source.latestOffset), _offsets(source.endOffset)
    return sum(
        end - read.get(topic, {}).get(partition, 0)
        for topic, partitions in latest.items()
        for partition, end in partitions.items()
    )


def _offsets(text: str | None) -> dict[str, dict[str, int]]:
    """Offsets by topic and partition; pyspark turns Java's null into the text `None`."""
    offsets: dict[str, dict[str, int]] = json.loads(text) if text and text != "None" else {}
    return offsets
