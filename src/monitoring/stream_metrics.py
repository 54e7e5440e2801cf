"""Metrics of the stream."""

from prometheus_client import CollectorRegistry


class StreamMetrics:
    """Every metric of the stream; all exist from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
