"""Scored transactions as JSON objects, CSV and Parquet; amounts in satoshi, times in UTC."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from api.routes.anomalies import anomaly
from api.schemas import StoredTransaction
from core.csv_text import csv_of_batch, csv_text
from core.row_filters import TIMES_MARKET, RowFilters, flagged_by_column, flagged_condition
from core.tables import SCORED_TRANSACTIONS

Format = Literal["json", "csv", "parquet"]

MEDIA_TYPES: Mapping[Format, str] = {
    "json": "application/json",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}

ROWS_AT_ONCE = 5_000
"""Rows of a download that are in memory at once, and of a row group of Parquet."""

_LINES_AT_ONCE = 500
"""Lines of CSV that are written at once: Python serves little else in the meantime."""

PARQUET = pa.schema([*(field for field in SCORED_TRANSACTIONS if field.name != "date")]).append(
    pa.field("times_market", pa.float64())
)
"""The columns of Parquet: those of the table, and the fee rate in multiples of the market's."""

JSON_COLUMNS = (*SCORED_TRANSACTIONS.names, "times_market")
"""The columns that `stored_transaction` takes."""

CSV = tuple(name for name in PARQUET.names if name not in ("pattern", "reasons"))
"""The columns of CSV; `patterns` has spaces between them."""


def asked_format(given: Format | None, accept: str) -> Format:
    """The form of an answer: the one given, else the first that `Accept` names, else JSON.

    >>> asked_format(None, "text/html, text/csv;q=0.9")
    'csv'
    """
    if given is not None:
        return given
    named = [part.split(";")[0].strip().lower() for part in accept.split(",")]
    known: dict[str, Format] = {media_type: name for name, media_type in MEDIA_TYPES.items()}
    return next((known[name] for name in named if name in known), "json")


def columns(names: Iterable[str], filters: RowFilters) -> str:
    """Columns in SQL: flagged by the caller's threshold where there is one."""
    own = RowFilters(threshold=filters.threshold)
    computed = {
        "is_anomaly": flagged_condition(own),
        "flagged_by": flagged_by_column(own),
        "threshold": "threshold" if own.threshold is None else repr(own.threshold),
        "patterns": "coalesce(patterns, CASE WHEN pattern IS NULL THEN make_array()"
        " ELSE make_array(pattern) END)",
        "times_market": TIMES_MARKET,
    }
    return ", ".join(f"{computed[n]} AS {n}" if n in computed else n for n in names)


def stored_transaction(row: Mapping[str, Any]) -> StoredTransaction:
    """A row as a JSON object."""
    return StoredTransaction(
        **anomaly(row),
        source=row["source"],
        scored_at=row["scored_at"],
        times_market=row["times_market"],
    )


def csv_parts(tables: Iterator[pa.Table]) -> Iterator[bytes]:
    """The heading, and the lines of tables with the columns `CSV`."""
    yield csv_text([CSV]).encode()
    for table in tables:
        for first in range(0, len(table), _LINES_AT_ONCE):
            for batch in table.slice(first, _LINES_AT_ONCE).combine_chunks().to_batches():
                yield csv_of_batch(batch).encode()


def parquet_parts(tables: Iterator[pa.Table]) -> Iterator[bytes]:
    """A Parquet file of tables with the columns `PARQUET`, a row group for each."""
    file = _Parts()
    with pq.ParquetWriter(file, PARQUET, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table.cast(PARQUET))
            yield file.take()
    yield file.take()


class _Parts:
    """A file that gives away what was written to it."""

    closed = False

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep data until it is taken."""
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing behind it."""

    def close(self) -> None:
        """What was written can still be taken."""

    def take(self) -> bytes:
        """What was written since the last time."""
        written, self._written = self._written, []
        return b"".join(written)
