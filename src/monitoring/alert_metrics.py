"""Metrics of the alerts that the service of cases sends."""

from prometheus_client import CollectorRegistry

from core.severity import SEVERITIES
from monitoring.prometheus_metrics import ServiceMetrics

OUTCOMES = ("created", "alone", "together", "summary")
"""What becomes of an alert: it is written; then it is told by a message of its own, by one message
together with others of its case, or by a summary of several cases."""


class AlertMetrics(ServiceMetrics):
    """Every metric of alerts; a route's series exist while it is in the file of routes."""

    service = "alerts"

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        counter, gauge = self.counter, self.gauge
        self.alerts = counter(
            "outcomes",
            "Alerts by severity: created, then told alone, together with others of its case or in "
            "a summary",
            severity=SEVERITIES,
            outcome=OUTCOMES,
        )
        self.deliveries = counter(
            "deliveries",
            "Messages to receivers by route: delivered, or an attempt that failed",
            route=(),
            result=(),
        )
        self.waiting = gauge("waiting_cases", "Cases that a route is to be told of", route=())
        self.failing_since = gauge(
            "failing_since_timestamp_seconds",
            "Since when a route's receiver accepts nothing, in Unix seconds; 0 while it does",
            route=(),
        )
        self.delay = self.histogram(
            "delay_seconds",
            "Time from an alert's creation to its delivery, what held it back included",
            (0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 600, 3_600, 43_200),
        )
        self.routes = gauge("routes", "Routes in force")
        self.routes_file_valid = gauge(
            "routes_file_valid", "1 while the file of routes can be used or there is none, else 0"
        )
        self.routes_file_valid.set(1)
        self.declare_loops("alerts", "digest")

    def add_route(self, name: str) -> None:
        """Begin a route's series."""
        for result in ("delivered", "failed"):
            self.deliveries.labels(name, result)
        self.waiting.labels(name).set(0)
        self.failing_since.labels(name).set(0)

    def remove_route(self, name: str, loop: str) -> None:
        """End the series of a route, and of its loop."""
        for result in ("delivered", "failed"):
            self.deliveries.remove(name, result)
        self.waiting.remove(name)
        self.failing_since.remove(name)
        self.loop_failures.remove(loop)
        self.loop_last_turn.remove(loop)
