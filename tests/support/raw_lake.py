"""Lakes with a table `raw_transactions`, written without Spark."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from numpy.typing import NDArray

from core.lake import open_or_create_table
from core.tables import RAW_TRANSACTIONS
from core.transaction import NUMERIC_FIELDS

Numbers = NDArray[np.int64] | NDArray[np.float64]

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def append_rows(
    lake: str | Path, rows: Numbers, start: datetime = START, offset: int = 0
) -> DeltaTable:
    """Append rows, seven a second from `start` on, and open the table.

    Their first columns are `NUMERIC_FIELDS`; others are not written.
    """
    properties = {"delta.dataSkippingStatsColumns": "append_time"}
    table = open_or_create_table(
        str(lake), "raw_transactions", RAW_TRANSACTIONS, "simulated", ["date"], properties
    )
    times = [start + timedelta(seconds=i / 7) for i in range(len(rows))]
    columns = dict(zip(NUMERIC_FIELDS, rows.astype(np.int64).T, strict=False)) | {
        "hash": [f"{i + offset:064x}" for i in range(len(rows))],
        "first_seen": [int(time.timestamp()) for time in times],
        "source": ["mempool"] * len(rows),
        "event_time": times,
        "append_time": times,
        "partition": np.zeros(len(rows), np.int32),
        "offset": np.arange(offset, offset + len(rows)),
        "date": [time.date() for time in times],
    }
    arrays = [
        pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(len(rows), f.type)
        for f in RAW_TRANSACTIONS
    ]
    written = pa.Table.from_arrays(arrays, schema=RAW_TRANSACTIONS)
    write_deltalake(table, written, mode="append")
    return table
