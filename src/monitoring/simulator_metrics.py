"""Metrics of the simulator."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from monitoring.common import PREFIX

ORIGINS = ("generated", "injected", "replacement", "replayed")
"""Where a simulated transaction comes from."""


class SimulatorMetrics:
    """Every metric of the simulator; all exist from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        name = f"{PREFIX}simulator_"
        self.transactions = Counter(
            f"{name}transactions_total",
            "Transactions that entered the simulated mempool, by origin",
            ["origin"],
            registry=registry,
        )
        self.blocks = Counter(f"{name}blocks_total", "Blocks mined", registry=registry)
        self.height = Gauge(f"{name}height", "Height of the newest block", registry=registry)
        self.waiting = Gauge(
            f"{name}waiting_transactions", "Transactions that wait for a block", registry=registry
        )
        self.requests = Counter(
            f"{name}requests_total",
            "Requests to the simulated Blockchain.com API, those with a fault included",
            registry=registry,
        )
        self.faults = Counter(
            f"{name}faults_total", "Requests that were answered with a fault", registry=registry
        )
        for origin in ORIGINS:
            self.transactions.labels(origin)
