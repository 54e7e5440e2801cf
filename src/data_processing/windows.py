"""Ten-minute windows of event time, always computed anew from the rows themselves.

Late rows and repeats need no care then: a window is what its rows say, whenever they came. What
changes is the choice of windows: those that new rows fall into.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.lake import sql_time
from core.tables import EVENT_AFTER, EVENT_BEFORE, TIMESTAMP, TRANSACTION_STATS
from data_processing.sinks import Sinks

WINDOW = timedelta(minutes=10)
PERCENTILES = (10, 25, 50, 75, 90, 99)
_GAP = timedelta(hours=1)
_RECENT_DATES = 15


def window_of(at: datetime) -> datetime:
    """The start of the window that an instant is in.

    >>> window_of(datetime(2026, 1, 2, 3, 44, 59, tzinfo=UTC)).isoformat()
    '2026-01-02T03:40:00+00:00'
    """
    seconds = int(at.timestamp()) // 600 * 600
    return datetime.fromtimestamp(seconds, UTC)


def windows_of(times: pa.ChunkedArray) -> set[datetime]:
    """The windows that any of these instants is in."""
    floors = pc.unique(pc.floor_temporal(times, multiple=10, unit="minute"))
    return {window_of(at) for at in floors.to_pylist()}


def statistics_of(window: datetime, rows: pa.Table, anomalies: int) -> dict[str, object]:
    """One row of `transaction_stats`; `rows` has `fee`, `weight` and `output_value`, one at least.

    A fee-rate percentile is the least rate that so many percent of the rows do not exceed.
    """
    rates = rows["fee"].to_numpy() * 4.0 / rows["weight"].to_numpy()
    marks = np.percentile(rates, PERCENTILES, method="inverted_cdf").tolist()
    return {
        "window_start": window,
        "window_end": window + WINDOW,
        "transactions": rows.num_rows,
        "volume": pc.sum(rows["output_value"]).as_py(),
        "fees": pc.sum(rows["fee"]).as_py(),
        **{f"fee_rate_p{p}": mark for p, mark in zip(PERCENTILES, marks, strict=True)},
        "anomalies": anomalies,
        "date": window.date(),
    }


def ranges_of(windows: set[datetime]) -> list[tuple[datetime, datetime]]:
    """Join windows to few ranges, start and end: an hour's gap is cheaper read than left out."""
    ranges: list[tuple[datetime, datetime]] = []
    for window in sorted(windows):
        if ranges and window - ranges[-1][1] <= _GAP:
            ranges[-1] = (ranges[-1][0], window + WINDOW)
        else:
            ranges.append((window, window + WINDOW))
    return ranges


def compute(sinks: Sinks, windows: set[datetime]) -> list[dict[str, object]]:
    """The rows of these windows, from what is committed now; none for a window without rows."""
    found: list[dict[str, object]] = []
    for start, end in ranges_of(windows):
        rows = _rows(sinks, "raw_transactions", "fee, weight, output_value", start, end)
        flagged = _rows(sinks, "scored_transactions", "is_anomaly", start, end)
        flagged = flagged.filter(flagged["is_anomaly"])
        found += [
            statistics_of(window, inside, _inside(flagged, window).num_rows)
            for window in sorted(windows)
            if start <= window < end and (inside := _inside(rows, window)).num_rows
        ]
    return found


def _rows(sinks: Sinks, table: str, columns: str, start: datetime, end: datetime) -> pa.Table:
    """Rows of an event time; only partitions it can be in: event time is near append time."""
    return sinks.ask(
        f"SELECT event_time, {columns} FROM {table} WHERE "
        f"event_time >= {sql_time(start)} AND event_time < {sql_time(end)} "
        f"AND date >= '{(start - EVENT_AFTER).date()}' AND date <= '{(end + EVENT_BEFORE).date()}'",
        table,
    )


def _inside(rows: pa.Table, window: datetime) -> pa.Table:
    at = rows["event_time"]
    start, end = (pa.scalar(t, TIMESTAMP) for t in (window, window + WINDOW))
    return rows.filter(pc.and_(pc.greater_equal(at, start), pc.less(at, end)))


def update(sinks: Sinks, windows: set[datetime]) -> int:
    """Bring these windows of `transaction_stats` up to date, all in one commit; return how many."""
    if not (fresh := compute(sinks, windows)):
        return 0
    dates = sorted({window.date() for window in windows})
    listed = ", ".join(f"'{day}'" for day in dates)
    sql = f"SELECT * FROM transaction_stats WHERE date IN ({listed})"
    kept = sinks.ask(sql, "transaction_stats").to_pylist()
    rows = {row["window_start"]: row for row in [*kept, *fresh]}
    table = pa.Table.from_pylist(list(rows.values()), schema=TRANSACTION_STATS)
    sinks.replace("transaction_stats", table, dates)
    return len(fresh)


def outdated(sinks: Sinks, kept: timedelta) -> set[datetime]:
    """Windows whose counts are not those of the rows: what a crash has left undone.

    Looks at the windows that rows of the last 15 dates fall into, since a topic holds no more than
    14 days; not at those that lack rows which were `kept` for their time and are dropped.
    """
    dates = sorted(sinks.rows_by_date("raw_transactions"))[-_RECENT_DATES:]
    if not dates:
        return set()
    recent = f"SELECT MIN(event_time) AS at FROM raw_transactions WHERE date >= '{dates[0]}'"
    earliest = window_of(sinks.ask(recent, "raw_transactions")["at"][0].as_py())
    whole = datetime.combine(dates[-1], datetime.min.time(), UTC) - kept + timedelta(days=1)
    since = max(earliest, window_of(whole))
    rows = _counts(sinks, "raw_transactions", f"event_time >= {sql_time(since)}")
    flagged = _counts(
        sinks, "scored_transactions", f"is_anomaly AND event_time >= {sql_time(since)}"
    )
    sql = f"SELECT * FROM transaction_stats WHERE window_start >= {sql_time(since)}"
    told = {
        row["window_start"]: (row["transactions"], row["anomalies"])
        for row in sinks.ask(sql, "transaction_stats").to_pylist()
    }
    return {w for w, n in rows.items() if told.get(w) != (n, flagged.get(w, 0))}


def _counts(sinks: Sinks, table: str, where: str) -> dict[datetime, int]:
    bins = "date_bin(INTERVAL '10 minutes', event_time, CAST('1970-01-01T00:00:00Z' AS TIMESTAMP))"
    found = sinks.ask(
        f"SELECT {bins} AS w, COUNT(*) AS n FROM {table} WHERE {where} GROUP BY 1", table
    )
    return {window_of(row["w"]): row["n"] for row in found.to_pylist()}
