"""Messages of `bitcoin-anomalies`, and a topic in memory that a case builder reads them from."""

import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from casework.anomaly_topic import Record, Records
from casework.building import CaseBuilder
from core.casework import CaseworkStore
from monitoring.casework_metrics import CaseworkMetrics
from monitoring.prometheus_metrics import new_registry

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def a_hash(number: int) -> str:
    """A hash that the same number always has; the numbers that the API gives differ."""
    return f"{random.Random(number).getrandbits(256):064x}"


def a_flag(number: int, **changes: Any) -> dict[str, Any]:
    """The message of a flagged transaction that has nothing in common with any other."""
    return {
        "hash": a_hash(number),
        "size": 250,
        "weight": 1000,
        "fee": 5_000,
        "inputs_count": 1,
        "outputs_count": 2,
        "input_value": 1_005_000 + number,
        "output_value": 1_000_000 + number,
        "fee_rate": 20.0,
        "anomaly_score": 0.71,
        "percentile": 0.999,
        "threshold": 0.69,
        "is_anomaly": True,
        "pattern": None,
        "patterns": [],
        "reasons": [],
        "model_version": "3",
        "flagged_by": "model",
        "market_fee_rate": 18.0,
        "source": "mempool",
        "block_height": None,
        "event_time": (NOON + timedelta(minutes=number)).isoformat(),
        "append_time": (NOON + timedelta(minutes=number)).isoformat(),
        "scored_at": (NOON + timedelta(minutes=number, seconds=5)).isoformat(),
        "explanation": f"Unusual: number {number}.",
        "spent_outpoints": [f"{10**9 + number}:0"],
        "input_addresses": [f"bc1qpayer{number}"],
        "input_values": [1_005_000 + number],
        "output_addresses": [f"bc1qpayee{number}", f"bc1qchange{number}"],
        "output_values": [400_000 + number, 600_000],
        "outpoints_cut": False,
        "outputs_cut": False,
        "equal_outputs": 1,
    } | changes


def dust_fan_outs(count: int = 40) -> list[dict[str, Any]]:
    """Dust sent to a hundred others by one payer, so many times, five seconds apart."""
    return [
        a_flag(
            number,
            pattern="dust_fan_out",
            patterns=["dust_fan_out", "dust"],
            outputs_count=100,
            input_addresses=["bc1qduster"],
            output_addresses=[f"bc1qvictim{number}x{place}" for place in range(100)],
            output_values=[546] * 100,
            event_time=(NOON + timedelta(seconds=5 * number)).isoformat(),
        )
        for number in range(count)
    ]


class ListTopic:
    """A topic in memory; a `clear` makes it another one, with another id."""

    def __init__(self) -> None:
        self.id = 1
        self.values: list[bytes] = []
        self.appended_at = NOON
        self.most = 1_000
        self._next = 0

    def add(self, *messages: Mapping[str, Any] | bytes) -> None:
        self.values += [m if isinstance(m, bytes) else json.dumps(m).encode() for m in messages]

    def clear(self) -> None:
        self.id, self.values = self.id + 1, []

    def open(self, position: Callable[[str], int | None]) -> None:
        self._next = position(f"{self.id}/0") or 0

    def read(self, wait_seconds: float) -> list[Records]:
        assert wait_seconds >= 0
        values = self.values[self._next : self._next + self.most]
        self._next += len(values)
        records = tuple(Record(value, self.appended_at) for value in values)
        return [Records(f"{self.id}/0", self._next, records)] if records else []

    def lag(self) -> int:
        return len(self.values) - self._next


def a_builder(root: str, topic: ListTopic, *listeners: Any, now: datetime = NOON) -> CaseBuilder:
    """The case builder as a process that starts has it."""
    metrics = CaseworkMetrics(new_registry("casework"))
    return CaseBuilder(CaseworkStore(root, "simulated"), topic, metrics, listeners, lambda: now)


def build(root: str, *messages: Mapping[str, Any]) -> CaseworkStore:
    """The casework store in which these messages have become cases."""
    topic = ListTopic()
    topic.add(*messages)
    a_builder(root, topic).turn(0)
    return CaseworkStore(root, "simulated")


def rows_of(root: str) -> list[dict[str, Any]]:
    """The rows of `case_members`, in order."""
    sql = "SELECT * FROM case_members ORDER BY sequence"
    found = CaseworkStore(root, "simulated").query(sql, "case_members")
    return [] if found is None else list(found.to_pylist())


def numbers_of(root: str) -> dict[str, int]:
    """The case of each transaction, by its hash, where merges are followed."""
    rows, roots = rows_of(root), {}
    for row in rows:
        if row["merged_into"] is not None:
            roots[row["number"]] = row["merged_into"]
    numbers = {row["hash"]: row["number"] for row in rows if row["merged_into"] is None}
    for name, number in numbers.items():
        while number in roots:
            number = roots[number]
        numbers[name] = number
    return numbers
