"""Metrics of the dashboard."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from monitoring.common import PREFIX

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10)
CALLBACKS = ("activity", "filters", "transaction", "score", "model")
SOURCES = ("lake", "api", "callback")


class DashboardMetrics:
    """Every metric of the dashboard; all exist from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        name = f"{PREFIX}dashboard_"
        self.registry = registry
        self.callback_seconds = Histogram(
            f"{name}callback_duration_seconds",
            "Time to answer a browser's callback",
            ["callback"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.errors = Counter(
            f"{name}errors_total",
            "Failures by where they happened: reading the lake, asking the API, a callback",
            ["source"],
            registry=registry,
        )
        self.refresh_seconds = Histogram(
            f"{name}refresh_duration_seconds",
            "Time to read what is new in the lake",
            buckets=_SECONDS,
            registry=registry,
        )
        self.refreshed = Gauge(
            f"{name}last_refresh_timestamp_seconds",
            "When the lake was last read without an error",
            registry=registry,
        )
        self.rows = Gauge(
            f"{name}cached_rows", "Scored transactions kept at hand", registry=registry
        )
        self.viewers = Gauge(
            f"{name}viewers", "Browsers that asked within the last minute", registry=registry
        )
        for callback in CALLBACKS:
            self.callback_seconds.labels(callback)
        for source in SOURCES:
            self.errors.labels(source)
