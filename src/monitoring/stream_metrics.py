"""Metrics of the stream."""

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Histogram

from core.detector.verdict import SCORE_AXIS
from core.tables import QUARANTINE_KINDS, TABLES
from monitoring.prometheus_metrics import ServiceMetrics

CHORES = ("backlog", "statistics", "replacements", "announcements", "housekeeping", "address_days")
"""The kinds of work between micro-batches."""

STAGES = (
    *("read", "quarantine", "watched", "movements", "raw_transactions"),
    *("market", "score", "scored_transactions"),
)
"""The stages of a micro-batch: reading, matching, scoring, and the write of each table."""

_SECONDS = (0.25, 0.5, 1, 2, 4, 8, 12, 20, 40, 80, 160)
_LATENCIES = (0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 6, 8, 12, 20, 40, 80, 160)
_SCORES = SCORE_AXIS[: SCORE_AXIS.index(0.8) + 1 : 5]


class StreamMetrics(ServiceMetrics):
    """Every metric of the stream.

    `records` are counted as read from Kafka, `rows` as written to a table.
    """

    service = "stream"

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        counter, histogram = self.counter, self.histogram
        self.records = counter("records", "Records read from Kafka")
        self.rows = counter("rows", "Rows written, by table", table=TABLES)
        self.deleted_rows = counter(
            "deleted_rows", "Rows deleted after RETENTION_DAYS, by table", table=TABLES
        )
        self.repeats = counter("repeats", "Records that were already stored")
        self.quarantined = counter("quarantined", "Records refused, by kind", kind=QUARANTINE_KINDS)
        self.anomalies = counter(
            "anomalies",
            "Transactions flagged, by the model, by a rule or by both",
            flagged_by=("model", "rule", "both"),
        )
        self.failures = counter("failures", "Queries that ended with an error")
        self.batch_seconds = histogram(
            "batch_seconds", "Time of one micro-batch, from trigger to commit", _SECONDS
        )
        self.scoring_latency = histogram(
            "published_to_scored_seconds",
            "Time from Kafka's append to the commit in scored_transactions, each transaction",
            _LATENCIES,
        )
        self.seen_to_scored = histogram(
            "first_seen_to_scored_seconds",
            "Time from when the producer saw it first to scored_transactions, each transaction",
            _LATENCIES,
        )
        self.scores = histogram(
            "anomaly_score", "Anomaly score of each new transaction, from 0 to 1", _SCORES
        )
        self.chore_seconds = histogram(
            "chore_seconds",
            "Time of one piece of work between micro-batches, by kind",
            _SECONDS,
            chore=CHORES,
        )
        self.stage_seconds = counter(
            "stage_seconds",
            "Time of micro-batches by stage: read (with parsing), score, or the write of a table",
            stage=STAGES,
        )
        self._declare_state()
        self._declare_announcements()
        self.declare_loops("champion", "webhook", "watch_list", "waiting_records")

    def _declare_state(self) -> None:
        gauge = self.gauge
        self.lag_records = gauge(
            "lag_records", "Records that no committed micro-batch has read, in all partitions"
        )
        self.lag_seconds = gauge(
            "lag_seconds",
            "Age of the oldest record that waits in the partition where most do; 0 when none waits",
        )
        self.last_batch = gauge(
            "last_batch_timestamp_seconds", "When the last micro-batch was committed, Unix time"
        )
        self.model_version = gauge(
            "model_version", "Version of the champion that scores; 0 while there is none"
        )
        self.known_keys = gauge("known_hashes", "Hashes kept to recognise repeats")
        self.market_fee_rate = gauge(
            "market_fee_rate_sat_per_vb", "Going fee rate of the newest minute, in sat/vB"
        )
        self.known_outpoints = gauge(
            "known_outpoints", "Spent outpoints kept to recognise replacements"
        )
        self.watch_list_entries = gauge("watch_list_entries", "Entries of the watch list in force")
        self.watch_list_read = gauge(
            "watch_list_read_timestamp_seconds",
            "When the watch list was last found to be the newest, in Unix seconds; 0 before",
        )
        self.unscored = gauge("unscored_rows", "Rows of raw_transactions not scored yet")
        self.webhook_waiting = gauge(
            "webhook_waiting", "Messages of bitcoin-anomalies that are not posted to WEBHOOK_URL"
        )
        self.disk_bytes = gauge(
            "disk_bytes", "Size of the disk that holds the lake; 0 where the lake is not on a disk"
        )
        self.disk_free_bytes = gauge(
            "disk_free_bytes", "Free space on the disk that holds the lake"
        )
        self.table_files = gauge("table_files", "Files of a table", table=TABLES)
        self.table_bytes = gauge("table_bytes", "Size of a table", table=TABLES)

    def _declare_announcements(self) -> None:
        self.announced = self.counter(
            "anomalies_published", "Flagged transactions published to bitcoin-anomalies"
        )
        self.seen_to_announced = self.histogram(
            "first_seen_to_announced_seconds",
            "Time from when the producer saw it first to bitcoin-anomalies, each announcement",
            _LATENCIES,
        )
        self.watched_announced = self.counter(
            "watched_published", "Transactions that touch the watch list, published likewise"
        )
        self.webhook_posts = self.counter(
            "webhook_posts", "Posts to WEBHOOK_URL, by result", result=("accepted", "failed")
        )
        self.mutes = self.gauge(
            "mutes_in_force", "Mutes that keep flagged transactions from being news"
        )
        self.muted = self.counter(
            "anomalies_muted", "Flagged transactions published that a mute in force matches"
        )
        self.webhook_muted = self.counter(
            "webhook_muted", "Messages that were not posted to WEBHOOK_URL because they are muted"
        )


def observe_all(histogram: Histogram, values: NDArray[np.float64]) -> None:
    """Observe many values at once.

    The public `observe` takes 0.9 µs a value; for the two histograms of each transaction that is
    3 % of the stream's time at 16,000 transactions/s. This takes 0.02 µs, by private attributes.
    """
    bounds = np.asarray(histogram._upper_bounds)
    counts = np.bincount(np.searchsorted(bounds, values), minlength=len(bounds))
    for bucket, count in zip(histogram._buckets, counts.tolist(), strict=True):
        bucket.inc(count)
    histogram._sum.inc(float(values.sum()))
