"""Metrics of the trainer."""

from prometheus_client import CollectorRegistry

from monitoring.prometheus_metrics import ServiceMetrics

RESULTS = ("promoted", "refused", "failed")
"""What a training can end with."""


class TrainerMetrics(ServiceMetrics):
    """Every metric of the trainer."""

    service = "trainer"

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        counter, gauge = self.counter, self.gauge
        self.trainings = counter(
            "trainings", "Trainings and recalibrations that ended, by result", result=RESULTS
        )
        self.recalibrations = counter(
            "recalibrations", "Recalibrations: a new threshold for the same trees, promoted or not"
        )
        self.report_failures = counter(
            "report_failures", "Trainings whose baselines and plots could not be attached"
        )
        self.step_failures = counter(
            "step_failures", "Steps of the trainer that ended with an unforeseen error"
        )
        self.seconds = self.histogram(
            "training_seconds",
            "Time of a training, from sampling to promotion",
            (1, 2, 5, 10, 20, 60, 300),
        )
        self.last_promotion = gauge(
            "last_promotion_timestamp_seconds",
            "Unix time at which this process last promoted a version; 0 for never",
        )
        self.last_end = gauge(
            "last_training_timestamp_seconds",
            "Unix time at which a training last ended without failing; 0 for never",
        )
        self.recall = gauge(
            "recall_ratio", "Recall of injected anomalies in the last training, by kind", kind=()
        )
        self._declare_champion_and_traffic()

    def _declare_champion_and_traffic(self) -> None:
        gauge = self.gauge
        self.threshold = gauge(
            "champion_threshold_ratio",
            "Score in 0..1 from which the champion flags; 0 while there is none",
        )
        self.version = gauge(
            "champion_version", "Registered version of the champion; 0 while there is none"
        )
        self.trained = gauge(
            "champion_trained_timestamp_seconds",
            "Unix time at which the champion was trained or recalibrated; 0 while there is none",
        )
        self.budget = gauge(
            "champion_budget_ratio",
            "Share of traffic that the champion is meant to flag; 0 while there is none",
        )
        self.flag_rate = gauge(
            "flag_rate_ratio", "Share of the newest 10,000 transactions that the champion flags"
        )
        self.drift = gauge(
            "drift_index",
            "Population stability index of the newest day against the champion's, by feature",
            feature=(),
        )
        self.drift_limit = gauge(
            "drift_limit_index",
            "Index from which a training starts early; +Inf until both samples cover a day",
        )
        self.marks = gauge(
            "marks",
            "Transactions that people marked, by their newest mark",
            mark=("useful", "not_useful", "known"),
        )
        self.precision = gauge(
            "flags_precision_ratio",
            "Share of the marked flags that were useful, by pattern (95 % interval: GET "
            "/marks/precision)",
            pattern=(),
        )
        self.version_precision = gauge(
            "version_flags_precision_ratio",
            "Share of the marked flags that were useful, by model version (the newest ten)",
            version=(),
        )
        self.table_rows = gauge("table_rows", "Rows of raw_transactions at the last check")
