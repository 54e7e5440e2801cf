"""Routes, members of cases and receivers for tests of alerts."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from casework.alerting.alert_text import Message
from casework.alerting.receivers import NotDeliveredError, Receiver
from casework.alerting.routes_file import Route
from core.case_rows import CASE_MEMBERS
from core.casework import CaseworkStore

MORNING = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
DASHBOARD = "http://dashboard.example.com/"


def route(**content: Any) -> Route:
    """A route as the file has it, to a receiver that does not exist."""
    return Route.model_validate({"name": "team", "to": ["json://localhost:1/"]} | content)


def member(sequence: int, case: int, severity: str = "medium", **columns: Any) -> dict[str, Any]:
    """A row of `case_members`: a flag of a zero fee."""
    return {
        "sequence": sequence,
        "number": case,
        "merged_into": None,
        "joined_at": MORNING + timedelta(seconds=sequence),
        "key": f"{sequence}",
        "hash": f"{sequence:064x}",
        "first": True,
        "kind": "flagged",
        "severity": severity,
        "output_value": 320_000_000,
        "fee": 0,
        "fee_rate": 0.0,
        "market_fee_rate": 12.0,
        "anomaly_score": 0.7,
        "threshold": 0.61,
        "is_anomaly": True,
        "flagged_by": "model",
        "pattern": "zero_fee",
        "patterns": ["zero_fee"],
        "explanation": "Unusual: it pays no fee.",
        **columns,
    }


def add_members(store: CaseworkStore, *members: Mapping[str, Any]) -> None:
    """Let members join their cases, in one commit."""
    rows = [{name: row.get(name) for name in CASE_MEMBERS.names} for row in members]
    store.append("case_members", pa.Table.from_pylist(rows, CASE_MEMBERS))


class FakeClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> datetime:
        return self.now

    def move(self, **duration: float) -> None:
        """Let time pass, as the arguments of `timedelta` say."""
        self.now += timedelta(**duration)


class Inbox:
    """A receiver that notes what it accepts, and when; it may be down."""

    def __init__(self, clock: FakeClock) -> None:
        self.down = False
        self.attempts = 0
        self.messages: list[Message] = []
        self.times: list[datetime] = []
        self._clock = clock

    def __call__(self, message: Message) -> None:
        self.attempts += 1
        if self.down:
            raise NotDeliveredError("no connection")
        self.messages.append(message)
        self.times.append(self._clock())

    def connect(self, _: Route) -> Sequence[Receiver]:
        """This receiver, whatever the route."""
        return (self,)

    def cases(self) -> list[list[int]]:
        """The cases of each message."""
        return [
            [each["case"] for each in message.data["cases"]]
            if "cases" in message.data
            else [message.data["case"]]
            for message in self.messages
        ]
