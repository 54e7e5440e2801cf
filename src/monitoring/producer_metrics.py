"""Metrics of the producer."""

from prometheus_client import CollectorRegistry


class ProducerMetrics:
    """Every metric of the producer; all exist from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
