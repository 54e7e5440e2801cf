"""The stream's metrics: of each micro-batch, of Spark's query, and gauges read at each scrape."""

import shutil
import time
from collections.abc import Callable, Sized
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql.streaming.listener import StreamingQueryProgress
from pyspark.sql.streaming.query import StreamingQuery

from core.detector.champion import Champion
from data_processing.going_rates import GoingRates
from data_processing.micro_batch import MicroBatch
from monitoring.stream_metrics import StreamMetrics, observe_all


def record_micro_batch(metrics: StreamMetrics, batch: MicroBatch) -> None:
    """Record what a micro-batch wrote, once it is committed."""
    new = batch.new.num_rows
    metrics.records.inc(batch.records)
    metrics.repeats.inc(batch.repeats)
    metrics.last_batch.set_to_current_time()
    for stage, seconds in batch.seconds.items():
        metrics.stage_seconds.labels(stage).inc(seconds)
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


class QueryProgress:
    """Records what Spark says of each micro-batch: how long it took.

    The query is asked. To tell pyspark's listener of one micro-batch costs a tenth of a core at one
    a second: it walks Java's lists, and each end of one searches the whole class path.
    """

    def __init__(self, metrics: StreamMetrics) -> None:
        self._metrics, self._recorded = metrics, -1

    def look(self, query: StreamingQuery) -> None:
        """Record the micro-batches that have ended since the last look."""
        last = query.lastProgress
        if last is None or last.batchId <= self._recorded:
            return
        following = last.batchId == self._recorded + 1
        for progress in [last] if following else query.recentProgress:
            if progress.batchId > self._recorded:
                self._record(progress)

    def _record(self, progress: StreamingQueryProgress) -> None:
        self._recorded = progress.batchId
        if progress.numInputRows:
            self._metrics.batch_seconds.observe(progress.batchDuration / 1_000)
