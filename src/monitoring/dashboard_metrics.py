"""Metrics of the dashboard."""

from prometheus_client import CollectorRegistry


class DashboardMetrics:
    """Every metric of the dashboard; all exist from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
