"""Metrics of the trainer."""

from prometheus_client import CollectorRegistry


class TrainerMetrics:
    """Every metric of the trainer; all exist from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
