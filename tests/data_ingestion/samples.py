"""What the tests of ingestion share: items as the source gives them, a clock, a broker."""

import json
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from data_ingestion.clock import StoppedError
from data_ingestion.raw_json import RawBlock, Tip
from data_ingestion.records import Record
from monitoring.producer_metrics import ProducerMetrics

NOW = 1_700_000_000
P2WPKH = "0014" + "11" * 20
P2PKH = "76a914" + "22" * 20 + "88ac"


def name(number: int) -> str:
    """A transaction or block hash."""
    return f"{number:032x}" * 2


def spent(value: int, tx_index: int = 77, **changes: Any) -> dict[str, Any]:
    """An input that spends so many satoshi."""
    output = {"tx_index": tx_index, "n": 0, "value": value, "script": P2WPKH, "addr": "bc1a"}
    return {"sequence": 0xFFFFFFFD, "witness": "00", "prev_out": output | changes}


def paid(value: int, script: str = P2PKH, addr: str | None = "1b") -> dict[str, Any]:
    """An output of so many satoshi."""
    output = {"value": value, "n": 0, "tx_index": 88, "script": script, "spent": False}
    return output if addr is None else output | {"addr": addr}


def payment(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A transaction of today's schema: 10,000 satoshi in, 9,000 out."""
    transaction = {
        "hash": name(number),
        "ver": 2,
        "vin_sz": 1,
        "vout_sz": 2,
        "size": 225,
        "weight": 573,
        "fee": 1000,
        "lock_time": 0,
        "tx_index": 88,
        "time": NOW - 5,
        "block_index": None,
        "block_height": None,
        "inputs": [spent(10_000)],
        "out": [paid(6_000), paid(3_000, addr="1c")],
    }
    return {key: value for key, value in (transaction | changes).items() if value is not ...}


def item(number: int = 1, **changes: Any) -> bytes:
    """A payment as the bytes of a page's item."""
    return json.dumps(payment(number, **changes)).encode()


def block(height: int, items: Sequence[bytes] = (), branch: int = 0, parent: int = 0) -> RawBlock:
    """A block whose hash tells its height and branch, on its parent's branch."""
    return RawBlock(
        block_hash(height, branch),
        height,
        block_hash(height - 1, parent),
        NOW,
        list(items),  # type: ignore[arg-type]  # bytes stand for msgspec.Raw
    )


def block_hash(height: int, branch: int = 0) -> str:
    """The hash of a block."""
    return name(branch * 2**64 + height)


def tip(height: int, branch: int = 0) -> Tip:
    """The newest block."""
    return Tip(block_hash(height, branch), height)


def metrics() -> ProducerMetrics:
    """Metrics of the test's own."""
    return ProducerMetrics(CollectorRegistry())


def value(of: ProducerMetrics, metric: str, **labels: str) -> float:
    """A metric's value, by its name without the prefix."""
    found = of.registry.get_sample_value(f"bitcoin_producer_{metric}", labels)
    assert found is not None, f"{metric} {labels} does not exist"
    return found


class FakeClock:
    """A clock that passes only when somebody waits; stops after `stop_after` waits."""

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
    """A broker that takes everything, or nothing while it is `dead`."""

    def __init__(self) -> None:
        self.taken: list[Record] = []
        self.dead = False

    def deliver(self, records: Sequence[Record]) -> None:
        if self.dead:
            raise StoppedError
        self.taken += records

    def keys(self, topic: str) -> list[str]:
        return [record.key for record in self.taken if record.topic == topic]
