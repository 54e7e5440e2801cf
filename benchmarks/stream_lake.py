"""Reads and fills a lake for the stream's benchmark."""

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
from numpy.typing import NDArray

from core.lake import open_table, query, table_uri
from core.ordinary_traffic.traffic import numbers
from core.tables import RAW_TRANSACTIONS
from core.transaction import NUMERIC_FIELDS
from model.sampling import count_rows

_AT_ONCE = 100_000


def rows_in(lake: str, table: str) -> int:
    """The row count of a table by its log; 0 while there is no table."""
    opened = open_table(lake, table, "simulated")
    return 0 if opened is None else count_rows(opened)


@contextmanager
def ages_when_seen(data: Path) -> Iterator[list[float]]:
    """Collect for each new scored row the seconds from Kafka's append until a reader sees it."""
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
    """Append generated traffic, spread over the last 20 hours, to `raw_transactions`."""
    for start in range(0, count, _AT_ONCE):
        at = datetime.now(UTC) - timedelta(hours=20 * (1 - start / count))
        rows = _rows(at, numbers(_AT_ONCE, seed=start))
        write_deltalake(table_uri(str(data / "lake"), "raw_transactions"), rows, mode="append")


def _rows(at: datetime, traffic: NDArray[np.int64]) -> pa.Table:
    """Rows with random hashes, all appended at one time."""
    text = secrets.token_hex(32 * len(traffic))
    values = dict(zip(NUMERIC_FIELDS, traffic.T, strict=True)) | {
        "hash": [text[64 * i : 64 * (i + 1)] for i in range(len(traffic))],
        "source": ["mempool"] * len(traffic),
        "partition": [0] * len(traffic),
        "offset": [0] * len(traffic),
        "first_seen": [int(at.timestamp())] * len(traffic),
        "spent_outpoints": [[f"{i}:{at.timestamp()}"] for i in range(len(traffic))],
        "event_time": [at] * len(traffic),
        "append_time": [at] * len(traffic),
        "date": [at.date()] * len(traffic),
    }
    columns = [
        pa.array(values[field.name], field.type)
        if field.name in values
        else pa.nulls(len(traffic), field.type)
        for field in RAW_TRANSACTIONS
    ]
    return pa.table(columns, schema=RAW_TRANSACTIONS)
