"""Metrics of the stream."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_REJECT_KINDS = ("empty", "not_json", "missing_field", "wrong_type", "out_of_range")
_TABLES = (
    "raw_transactions",
    "quarantine",
    "transaction_stats",
    "scored_transactions",
    "confirmations",
    "replacements",
)
_CHORES = ("backlog", "statistics", "replacements", "announcements", "housekeeping")
_STAGES = ("read", "raw_transactions", "scored_transactions", "quarantine")
_SECONDS = (0.25, 0.5, 1, 2, 4, 8, 12, 20, 40, 80, 160)
_SCORES = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


class StreamMetrics:
    """Every metric of the stream; all exist from the start.

    `records` are what Kafka brought, `rows` what a table got; times are seconds, sizes bytes.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._newest = 0.0
        self._count_work(registry)
        self._watch_progress(registry)
        self._watch_tables(registry)
        for kind in _REJECT_KINDS:
            self.quarantined.labels(kind)
        for table in _TABLES:
            self.rows.labels(table)
            self.table_files.labels(table)
            self.table_bytes.labels(table)
        for stage in _STAGES:
            self.stage_seconds.labels(stage)
        for chore in _CHORES:
            self.chore_seconds.labels(chore)

    def _count_work(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "bitcoin_stream_records", "Records read from Kafka", registry=registry
        )
        self.rows = Counter(
            "bitcoin_stream_rows", "Rows written, by table", ["table"], registry=registry
        )
        self.repeats = Counter(
            "bitcoin_stream_repeats", "Transactions that were there already", registry=registry
        )
        self.quarantined = Counter(
            "bitcoin_stream_quarantined", "Records refused, by kind", ["kind"], registry=registry
        )
        self.anomalies = Counter(
            "bitcoin_stream_anomalies", "Transactions flagged", registry=registry
        )
        self.announced = Counter(
            "bitcoin_stream_anomalies_published",
            "Flagged transactions published to bitcoin-anomalies",
            registry=registry,
        )
        self.failures = Counter(
            "bitcoin_stream_failures", "Queries that ended with an error", registry=registry
        )

    def _watch_progress(self, registry: CollectorRegistry) -> None:
        self.batch_seconds = Histogram(
            "bitcoin_stream_batch_seconds",
            "Time of one micro-batch, from trigger to commit",
            buckets=_SECONDS,
            registry=registry,
        )
        self.scoring_latency = Histogram(
            "bitcoin_stream_published_to_scored_seconds",
            "From Kafka's append to the commit in scored_transactions, each transaction",
            buckets=_SECONDS,
            registry=registry,
        )
        self.scores = Histogram(
            "bitcoin_stream_anomaly_score",
            "Anomaly score of each new transaction, from 0 to 1",
            buckets=_SCORES,
            registry=registry,
        )
        self.chore_seconds = Histogram(
            "bitcoin_stream_chore_seconds",
            "Time of one piece of work between micro-batches, by kind",
            ["chore"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._watch_lag(registry)

    def _watch_lag(self, registry: CollectorRegistry) -> None:
        self.stage_seconds = Counter(
            "bitcoin_stream_stage_seconds",
            "Time of micro-batches by stage: read (parse and score too), or a table's write",
            ["stage"],
            registry=registry,
        )
        self.lag_records = Gauge(
            "bitcoin_stream_lag_records", "Records not read yet, all partitions", registry=registry
        )
        self.lag_seconds = Gauge(
            "bitcoin_stream_lag_seconds",
            "Age of the newest record read, when it was committed; 0 when none is waiting",
            registry=registry,
        )
        self.last_batch = Gauge(
            "bitcoin_stream_last_batch_timestamp_seconds",
            "When the last micro-batch was committed, Unix time",
            registry=registry,
        )
        self.model_version = Gauge(
            "bitcoin_stream_model_version",
            "Version of the champion that scores, 0 while there is none",
            registry=registry,
        )

    def _watch_tables(self, registry: CollectorRegistry) -> None:
        self.known_keys = Gauge(
            "bitcoin_stream_known_hashes", "Hashes kept to recognise repeats", registry=registry
        )
        self.known_outpoints = Gauge(
            "bitcoin_stream_known_outpoints",
            "Spent outpoints kept to recognise replacements",
            registry=registry,
        )
        self.unscored = Gauge(
            "bitcoin_stream_unscored_rows",
            "Rows of raw_transactions not scored yet",
            registry=registry,
        )
        self.disk_bytes = Gauge(
            "bitcoin_stream_disk_bytes",
            "Size of the disk that holds the lake; 0 where the lake is not on a disk",
            registry=registry,
        )
        self.disk_free_bytes = Gauge(
            "bitcoin_stream_disk_free_bytes",
            "Free space on the disk that holds the lake",
            registry=registry,
        )
        self.table_files = Gauge(
            "bitcoin_stream_table_files", "Files of a table", ["table"], registry=registry
        )
        self.table_bytes = Gauge(
            "bitcoin_stream_table_bytes", "Size of a table", ["table"], registry=registry
        )

    def read(self, newest: float) -> None:
        """Note that records up to Kafka's append time `newest`, in Unix seconds, were taken."""
        self._newest = max(self._newest, newest)

    def behind(self, records: int, now: float) -> None:
        """Show how many records wait, and how old at Unix time `now` the newest one taken is."""
        self.lag_records.set(records)
        self.lag_seconds.set(now - self._newest if records and self._newest else 0)
