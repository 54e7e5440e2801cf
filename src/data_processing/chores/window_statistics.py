"""Keeps `transaction_stats`: statistics of ten-minute windows of event time.

A window is always computed from all of its rows, so late and repeated data need no special case.
New rows only determine which windows to compute again.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.lake import sql_time
from core.tables import EVENT_AFTER, EVENT_BEFORE, TIMESTAMP, TRANSACTION_STATS
from data_processing.lake_tables import LakeTables
from data_processing.micro_batch import MicroBatch
from monitoring.stream_metrics import StreamMetrics

WINDOW = timedelta(minutes=10)
PERCENTILES = (10, 25, 50, 75, 90, 99)
_MAX_GAP, _LONGEST = timedelta(hours=1), timedelta(days=1)


class WindowStatistics:
    """A chore: updates the windows that changed, at most once every `seconds`."""

    name = "statistics"

    def __init__(
        self,
        tables: LakeTables,
        seconds: float,
        retention_days: int,
        metrics: StreamMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tables, self._seconds, self._metrics, self._clock = tables, seconds, metrics, clock
        self._changed = outdated(tables, timedelta(days=retention_days))
        self._not_before = 0.0

    def on_batch(self, batch: MicroBatch) -> None:
        """Note the windows of the new transactions."""
        self._changed |= windows_of(batch.new["event_time"])

    def on_scored(self, scored_at: datetime) -> None:
        """Note the windows with transactions that were flagged by a later commit."""
        rows = self._tables.query(
            "SELECT event_time FROM scored_transactions "
            f"WHERE is_anomaly AND scored_at = {sql_time(scored_at)}",
            "scored_transactions",
        )
        self._changed |= windows_of(rows["event_time"])

    def due(self) -> bool:
        """Whether windows changed and the last update is long enough ago."""
        return bool(self._changed) and self._clock() >= self._not_before

    def run(self) -> None:
        """Update every window that changed."""
        changed, self._changed = self._changed, set()
        self._metrics.rows.labels("transaction_stats").inc(update(self._tables, changed))
        self._not_before = self._clock() + self._seconds


def window_of(at: datetime) -> datetime:
    """The start of the window that contains an instant.

    >>> window_of(datetime(2026, 1, 2, 3, 44, 59, tzinfo=UTC)).isoformat()
    '2026-01-02T03:40:00+00:00'
    """
    seconds = int(at.timestamp()) // 600 * 600
    return datetime.fromtimestamp(seconds, UTC)


def windows_of(times: pa.ChunkedArray) -> set[datetime]:
    """The starts of the windows that contain any of these instants."""
    floors = pc.unique(pc.floor_temporal(times, multiple=10, unit="minute"))
    return {window_of(at) for at in floors.to_pylist()}


def update(tables: LakeTables, windows: set[datetime]) -> int:
    """Compute these windows again and write them in one commit; return how many were written."""
    if not (computed := compute(tables, windows)):
        return 0
    dates = sorted({window.date() for window in windows})
    listed = ", ".join(f"'{day}'" for day in dates)
    sql = f"SELECT * FROM transaction_stats WHERE date IN ({listed})"
    present = tables.query(sql, "transaction_stats").to_pylist()
    rows = {row["window_start"]: row for row in [*present, *computed]}
    table = pa.Table.from_pylist(list(rows.values()), schema=TRANSACTION_STATS)
    tables.replace_dates("transaction_stats", table, dates)
    return len(computed)


def compute(tables: LakeTables, windows: set[datetime]) -> list[dict[str, object]]:
    """The statistics of these windows from the committed rows; none for a window without rows."""
    statistics: list[dict[str, object]] = []
    for start, end in ranges_of(windows):
        rows = _rows_between(tables, "raw_transactions", "fee, weight, output_value", start, end)
        scored = _rows_between(tables, "scored_transactions", "is_anomaly", start, end)
        flagged = scored.filter(scored["is_anomaly"])
        statistics += [
            statistics_of(window, in_window, _in_window(flagged, window).num_rows)
            for window in sorted(windows)
            if start <= window < end and (in_window := _in_window(rows, window)).num_rows
        ]
    return statistics


def statistics_of(window: datetime, rows: pa.Table, anomalies: int) -> dict[str, object]:
    """One row of `transaction_stats`; `rows` has `fee`, `weight`, `output_value`, at least one row.

    A fee-rate percentile p is the least rate that p percent of the rows do not exceed.
    """
    rates = rows["fee"].to_numpy() * 4.0 / rows["weight"].to_numpy()
    percentiles = np.percentile(rates, PERCENTILES, method="inverted_cdf").tolist()
    return {
        "window_start": window,
        "window_end": window + WINDOW,
        "transactions": rows.num_rows,
        "volume": pc.sum(rows["output_value"]).as_py(),
        "fees": pc.sum(rows["fee"]).as_py(),
        **{f"fee_rate_p{p}": rate for p, rate in zip(PERCENTILES, percentiles, strict=True)},
        "anomalies": anomalies,
        "date": window.date(),
    }


def ranges_of(windows: set[datetime]) -> list[tuple[datetime, datetime]]:
    """Merge windows into few ranges (start, end): a query costs more than reading an hour's gap.

    None is longer than a day, whose rows fit into memory.
    """
    ranges: list[tuple[datetime, datetime]] = []
    for window in sorted(windows):
        start, end = ranges[-1] if ranges else (window, window)
        if ranges and window - end <= _MAX_GAP and window + WINDOW - start <= _LONGEST:
            ranges[-1] = (start, window + WINDOW)
        else:
            ranges.append((window, window + WINDOW))
    return ranges


def _rows_between(
    tables: LakeTables, table: str, columns: str, start: datetime, end: datetime
) -> pa.Table:
    """Rows by event time, from the partitions that can have them: it is near the append time."""
    return tables.query(
        f"SELECT event_time, {columns} FROM {table} WHERE "
        f"event_time >= {sql_time(start)} AND event_time < {sql_time(end)} "
        f"AND date >= '{(start - EVENT_AFTER).date()}' AND date <= '{(end + EVENT_BEFORE).date()}'",
        table,
    )


def _in_window(rows: pa.Table, window: datetime) -> pa.Table:
    at = rows["event_time"]
    start, end = (pa.scalar(t, TIMESTAMP) for t in (window, window + WINDOW))
    return rows.filter(pc.and_(pc.greater_equal(at, start), pc.less(at, end)))


def outdated(tables: LakeTables, retention: timedelta) -> set[datetime]:
    """Windows whose counts differ from those of the rows.

    A crash came before their update, or the table was moved away. Leaves out windows some of whose
    rows may be older than `retention` and deleted.
    """
    dates = tables.rows_by_date("raw_transactions")
    if not dates:
        return set()
    newest = min(max(dates), datetime.now(UTC).date())  # rows may be stamped ahead
    complete = datetime.combine(newest, datetime.min.time(), UTC) - retention + timedelta(days=1)
    since = window_of(complete)
    rows = _counts(tables, "raw_transactions", f"event_time >= {sql_time(since)}")
    flagged = _counts(
        tables, "scored_transactions", f"is_anomaly AND event_time >= {sql_time(since)}"
    )
    sql = f"SELECT * FROM transaction_stats WHERE window_start >= {sql_time(since)}"
    written = {
        row["window_start"]: (row["transactions"], row["anomalies"])
        for row in tables.query(sql, "transaction_stats").to_pylist()
    }
    return {w for w, n in rows.items() if written.get(w) != (n, flagged.get(w, 0))}


def _counts(tables: LakeTables, table: str, where: str) -> dict[datetime, int]:
    bins = "date_bin(INTERVAL '10 minutes', event_time, CAST('1970-01-01T00:00:00Z' AS TIMESTAMP))"
    rows = tables.query(
        f"SELECT {bins} AS w, COUNT(*) AS n FROM {table} WHERE {where} GROUP BY 1", table
    )
    return {window_of(row["w"]): row["n"] for row in rows.to_pylist()}
