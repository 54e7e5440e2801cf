"""What the stream's benchmark sees of a lake, and how it fills one."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from core.lake import query, table_uri
from core.tables import RAW_TRANSACTIONS

_AT_ONCE = 100_000


def rows_in(data: Path, table: str) -> int:
    """Rows of a table as its log counts them; 0 while there is none."""
    try:
        actions = pa.table(DeltaTable(table_uri(str(data / "lake"), table)).get_add_actions())
    except TableNotFoundError:
        return 0
    return int(sum(actions["num_records"].to_pylist()))


@contextmanager
def ages_when_seen(data: Path) -> Iterator[list[float]]:
    """Seconds since Kafka's append when a reader first sees each scored row, while this lasts."""
    ages: list[float] = []
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(data, ages, done))
    watcher.start()
    yield ages
    done.set()
    watcher.join()


def _watch(data: Path, ages: list[float], done: threading.Event) -> None:
    newest = datetime.now(UTC)
    while not done.wait(0.1):
        table = DeltaTable(table_uri(str(data / "lake"), "scored_transactions"))
        sql = (
            "SELECT append_time, scored_at FROM scored_transactions WHERE "
            f"scored_at > CAST('{newest.isoformat()}' AS TIMESTAMP)"
        )
        rows, now = query(sql, scored_transactions=table).to_pylist(), time.time()
        ages += [now - row["append_time"].timestamp() for row in rows]
        newest = max((row["scored_at"] for row in rows), default=newest)


def percentile(ages: list[float], percent: float) -> float:
    """The age that so many percent do not exceed; raises `IndexError` when nothing was seen."""
    return float(np.percentile(ages, percent, method="inverted_cdf"))


def fill(data: Path, count: int) -> None:
    """Append rows of random hashes, spread over the last 20 hours, to `raw_transactions`."""
    for start in range(0, count, _AT_ONCE):
        at = datetime.now(UTC) - timedelta(hours=20 * (1 - start / count))
        write_deltalake(table_uri(str(data / "lake"), "raw_transactions"), _rows(at), mode="append")


def _rows(at: datetime) -> pa.Table:
    text = secrets.token_hex(32 * _AT_ONCE)
    values = {
        "hash": [text[64 * i : 64 * (i + 1)] for i in range(_AT_ONCE)],
        "source": ["mempool"] * _AT_ONCE,
        "partition": pa.array([0] * _AT_ONCE, pa.int32()),
        "spent_outpoints": [[f"{i}:{at.timestamp()}"] for i in range(_AT_ONCE)],
        "event_time": pa.array([at] * _AT_ONCE, RAW_TRANSACTIONS.field("event_time").type),
        "append_time": pa.array([at] * _AT_ONCE, RAW_TRANSACTIONS.field("append_time").type),
        "date": pa.array([at.date()] * _AT_ONCE, pa.date32()),
    }
    numbers = pa.array([1_000] * _AT_ONCE, pa.int64())
    columns = {
        field.name: values.get(field.name, numbers if not field.nullable else None)
        for field in RAW_TRANSACTIONS
    }
    empty = {name for name, column in columns.items() if column is None}
    for name in empty:
        columns[name] = pa.nulls(_AT_ONCE, RAW_TRANSACTIONS.field(name).type)
    return pa.table(columns, schema=RAW_TRANSACTIONS)
