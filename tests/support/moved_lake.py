"""A table `movements`, as the stream writes it."""

from datetime import datetime
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from core.lake import ORIGIN_PROPERTY, table_uri
from core.tables import MOVEMENTS


def movement(address: str, name: str, at: datetime, value: int, **changes: Any) -> dict[str, Any]:
    """An output that pays an address, seen at a time."""
    return {
        **{"address": address, "hash": name, "spent": False, "position": 0, "value": value},
        **{"event_time": at, "append_time": at, "date": at.date()},
    } | changes


def append_movements(lake: str, rows: list[dict[str, Any]]) -> None:
    """Append rows to the table, which is created where it is missing."""
    uri = table_uri(lake, "movements")
    DeltaTable.create(
        uri,
        MOVEMENTS,
        mode="ignore",
        partition_by=["date"],
        configuration={ORIGIN_PROPERTY: "simulated"},
        raise_if_key_not_exists=False,
    )
    write_deltalake(uri, pa.Table.from_pylist(rows, schema=MOVEMENTS), mode="append")
