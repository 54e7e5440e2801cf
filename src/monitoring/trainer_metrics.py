"""Metrics of the trainer."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from monitoring.common import PREFIX

_PREFIX = f"{PREFIX}trainer_"
RESULTS = ("promoted", "refused", "failed")


class TrainerMetrics:
    """Every metric of the trainer; all exist from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.trainings = Counter(
            f"{_PREFIX}trainings_total",
            "Trainings and recalibrations that ended, by result",
            ["result"],
            registry=registry,
        )
        self.recalibrations = Counter(
            f"{_PREFIX}recalibrations_total",
            "Thresholds set anew for the same trees, promoted or not",
            registry=registry,
        )
        self.seconds = Histogram(
            f"{_PREFIX}training_seconds",
            "Time a training took, from sampling to promotion",
            buckets=(1, 2, 5, 10, 20, 60, 300),
            registry=registry,
        )
        for result in RESULTS:
            self.trainings.labels(result)
        self._describe_champion(registry)
        self._describe_traffic(registry)

    def _describe_champion(self, registry: CollectorRegistry) -> None:
        self.last_promotion = Gauge(
            f"{_PREFIX}last_promotion_timestamp_seconds",
            "Unix time at which a version was last promoted by this process; 0 for never",
            registry=registry,
        )
        self.last_end = Gauge(
            f"{_PREFIX}last_training_timestamp_seconds",
            "Unix time at which a training last ended without failing; 0 for never",
            registry=registry,
        )
        self.threshold = Gauge(
            f"{_PREFIX}champion_threshold_ratio",
            "Score from which on the champion flags, in 0..1; 0 while there is none",
            registry=registry,
        )
        self.version = Gauge(
            f"{_PREFIX}champion_version",
            "Registered version of the champion; 0 while there is none",
            registry=registry,
        )
        self.trained = Gauge(
            f"{_PREFIX}champion_trained_timestamp_seconds",
            "Unix time at which the champion was trained or recalibrated; 0 while there is none",
            registry=registry,
        )
        self.budget = Gauge(
            f"{_PREFIX}champion_budget_ratio",
            "Share of traffic that the champion is meant to flag; 0 while there is none",
            registry=registry,
        )
        self.recall = Gauge(
            f"{_PREFIX}recall_ratio",
            "Recall of injected anomalies in the last training, by kind",
            ["kind"],
            registry=registry,
        )

    def _describe_traffic(self, registry: CollectorRegistry) -> None:
        self.flag_rate = Gauge(
            f"{_PREFIX}flag_rate_ratio",
            "Share of the newest traffic that the champion flags",
            registry=registry,
        )
        self.drift = Gauge(
            f"{_PREFIX}drift_index",
            "Population stability index of the newest traffic against the champion's, by feature",
            ["feature"],
            registry=registry,
        )
        self.table_rows = Gauge(
            f"{_PREFIX}table_rows",
            "Rows of raw_transactions when last looked at",
            registry=registry,
        )
