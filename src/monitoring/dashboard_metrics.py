"""Metrics of the dashboard."""

from prometheus_client import CollectorRegistry

from monitoring.prometheus_metrics import ServiceMetrics

CALLBACKS = ("activity", "filters", "transaction", "score", "model", "watch")
"""The parts of the page that a browser's callback updates."""

SOURCES = ("lake", "api", "callback")
"""Where a failure can happen."""

LOOPS = ("recent-rows", "parts", "past-days")
"""What repeats in the background: read the new rows, ask the parts, count a past day."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10)


class DashboardMetrics(ServiceMetrics):
    """Every metric of the dashboard."""

    service = "dashboard"

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.callback_seconds = self.histogram(
            "callback_duration_seconds",
            "Time to answer a browser's callback",
            _SECONDS,
            callback=CALLBACKS,
        )
        self.errors = self.counter(
            "errors",
            "Failures by place: reading the lake, asking the API, or a callback",
            source=SOURCES,
        )
        self.refresh_seconds = self.histogram(
            "refresh_duration_seconds", "Time to read new rows from the lake", _SECONDS
        )
        self.refreshed = self.gauge(
            "last_refresh_timestamp_seconds", "When the lake was last read without an error"
        )
        self.rows = self.gauge("cached_rows", "Scored transactions kept in memory")
        self.declare_loops(*LOOPS)
        self.viewers = self.gauge("viewers", "Browsers with a callback within the last minute")
