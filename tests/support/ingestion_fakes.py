"""A clock and a broker for the tests of ingestion."""

from collections.abc import Sequence

from tests.support.blockchain_samples import NOW

from data_ingestion.clock import StoppedError
from data_ingestion.journal import Record
from monitoring.producer_metrics import ProducerMetrics


def metric_value(metrics: ProducerMetrics, name: str, **labels: str) -> float:
    """A metric's value, by its name without the prefix."""
    value = metrics.registry.get_sample_value(f"bitcoin_producer_{name}", labels)
    assert value is not None, f"{name} {labels} does not exist"
    return value


class FakeClock:
    """A clock whose time passes only in `wait`; stops after `stop_after` waits."""

    def __init__(self, now: float = NOW, stop_after: int | None = None) -> None:
        self.now = now
        self.waits: list[float] = []
        self.stop_after = stop_after
        self.stopping = False

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now - 1_000

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        if self.stopping or (self.stop_after is not None and len(self.waits) > self.stop_after):
            self.stopping = True
            raise StoppedError
        self.now += max(seconds, 0)


class FakeDelivery:
    """A broker that acknowledges everything, or nothing while it is `dead`."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.dead = False

    def deliver(self, records: Sequence[Record]) -> None:
        if self.dead:
            raise StoppedError
        self.records += records

    def keys(self, topic: str) -> list[str]:
        return [record.key for record in self.records if record.topic == topic]
