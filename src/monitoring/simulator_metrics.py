"""Metrics of the simulator."""

from prometheus_client import CollectorRegistry


class SimulatorMetrics:
    """Every metric of the simulator; all exist from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
