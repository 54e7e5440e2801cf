"""Metrics of the api."""

from prometheus_client import CollectorRegistry


class ApiMetrics:
    """Every metric of the api; all exist from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
