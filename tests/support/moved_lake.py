"""A table `movements`, as the stream writes it."""

from datetime import datetime
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from core.lake import open_or_create_table
from core.tables import MOVEMENTS


def movement(address: str, name: str, at: datetime, value: int, **changes: Any) -> dict[str, Any]:
    """An output that pays an address, seen at a time."""
    return {
        **{"address": address, "hash": name, "spent": False, "position": 0, "value": value},
        **{"event_time": at, "append_time": at, "date": at.date()},
    } | changes


def append_movements(lake: str, rows: list[dict[str, Any]]) -> None:
    """Append rows to the table, which is created where it is missing."""
    table = open_or_create_table(lake, "movements", MOVEMENTS, "simulated", ["date"])
    write_deltalake(table, pa.Table.from_pylist(rows, schema=MOVEMENTS), mode="append")
