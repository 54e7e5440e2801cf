"""A lake of one day with everything that the daily report reads."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake
from tests.support.scored_lake import append_scored, scored_row

from core.lake import open_or_create_table
from core.tables import MARKET, QUARANTINE, RAW_TRANSACTIONS

DAY = date(2026, 11, 27)
MIDNIGHT = datetime(2026, 11, 27, tzinfo=UTC)


def flag(number: int, score: float, **columns: Any) -> dict[str, object]:
    """A scored row of the day, flagged from 0.6 on."""
    at = MIDNIGHT + timedelta(minutes=number)
    times = {"event_time": at, "append_time": at, "scored_at": at, "date": at.date()}
    return scored_row(f"{number:064x}", timedelta(0), score) | times | columns


def append(lake: str, name: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    """Append rows to a table of the lake, which is created where it is missing."""
    table = open_or_create_table(lake, name, schema, "simulated", ["date"])
    write_deltalake(table, pa.Table.from_pylist(rows, schema=schema), mode="append")


def write_day(lake: str) -> None:
    """40 transactions, 30 of them scored, 12 flagged; two refused; a gap of twenty minutes."""
    raw = [
        {field.name: _zero(field) for field in RAW_TRANSACTIONS}
        | {"hash": f"{n:064x}", "append_time": MIDNIGHT, "event_time": MIDNIGHT, "date": DAY}
        for n in range(40)
    ]
    append(lake, "raw_transactions", RAW_TRANSACTIONS, raw)
    flags = [flag(n, 0.62 + n / 100, patterns=["zero_fee"]) for n in range(12)]
    flags[3] |= {"flagged_by": "both", "patterns": ["fee_overpaid", "dust"]}
    ordinary = [flag(100 + n, 0.4) for n in range(18)]
    append_scored(lake, flags + ordinary)
    refused = {"value": b"x", "reason": "it is <b>no</b> JSON", "partition": 0, "offset": 1}
    refused |= {"topic": "bitcoin-transactions", "append_time": MIDNIGHT, "date": DAY}
    append(lake, "quarantine", QUARANTINE, [refused, refused])
    minutes = [*range(10), *range(30, 40)]
    market = [
        {"minute": MIDNIGHT + timedelta(minutes=m), "fee_rate": 12.0, "low": 5.0, "high": 40.0}
        | {"rows": 300, "date": DAY}
        for m in minutes
    ]
    append(lake, "market", MARKET, market)


def _zero(field: pa.Field) -> Any:
    if field.nullable:
        return None
    return "mempool" if pa.types.is_string(field.type) else 0
