"""Rows of the tables that people's work is kept in, and mutes."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pyarrow as pa

from core.casework import MARKS, MUTES, CaseworkStore
from core.mutes import Mute

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def mark_row(hash: str, mark: str, second: int = 0, **changes: Any) -> dict[str, Any]:
    """A mark of a transaction that the model flagged, some seconds after `NOW`."""
    return {
        "id": uuid4().hex,
        "hash": hash,
        "mark": mark,
        "note": "",
        "author": "ann",
        "marked_at": NOW + timedelta(seconds=second),
        "size": 250,
        "weight": 1_000,
        "fee": 5_000,
        "inputs_count": 1,
        "outputs_count": 2,
        "input_value": 105_000,
        "output_value": 100_000,
        "fee_rate": 20.0,
        "market_fee_rate": 20.0,
        "anomaly_score": 0.7,
        "threshold": 0.6,
        "flagged_by": "model",
        "patterns": ["fee_overpaid"],
        "model_version": "3",
        "event_time": NOW,
    } | changes


def add_marks(store: CaseworkStore, *rows: dict[str, Any]) -> None:
    """Write marks as the API does."""
    store.append("marks", pa.Table.from_pylist(list(rows), schema=MARKS))


def a_mute(**changes: Any) -> Mute:
    """A mute of a pattern for a day from `NOW` on."""
    made: dict[str, Any] = {"created_at": NOW, "until": NOW + timedelta(days=1)}
    said = {"id": uuid4().hex, "author": "ann", "note": "our own payouts"}
    what = {} if changes.keys() - {"created_at", "until"} else {"pattern": "fee_overpaid"}
    return Mute(**(said | made | what | changes))


def add_mute(store: CaseworkStore, mute: Mute) -> None:
    """Write a mute, or its end, as the API does."""
    row = mute._asdict() | {"written_at": mute.ended_at or mute.created_at}
    store.append("mutes", pa.Table.from_pylist([row], schema=MUTES))
