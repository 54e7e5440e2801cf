"""Metrics of the simulator."""

from prometheus_client import CollectorRegistry

from monitoring.prometheus_metrics import ServiceMetrics

ORIGINS = ("generated", "injected", "replacement", "package", "replayed")
"""Where a simulated transaction comes from."""


class SimulatorMetrics(ServiceMetrics):
    """Every metric of the simulator."""

    service = "simulator"

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.transactions = self.counter(
            "transactions",
            "Transactions that entered the simulated mempool, by origin",
            origin=ORIGINS,
        )
        self.blocks = self.counter("blocks", "Blocks mined")
        self.height = self.gauge("height", "Height of the newest block")
        self.waiting = self.gauge("waiting_transactions", "Transactions that wait to be in a block")
        self.requests = self.counter(
            "requests",
            "Requests to the simulated Blockchain.com API, including those with a fault",
        )
        self.faults = self.counter("faults", "Requests that were answered with a fault")
