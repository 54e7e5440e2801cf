"""Keeps `replacements`: pairs of transactions that spend the same outpoint.

Micro-batches find them by `LastSpenders`; this writes them, and at the start fills that memory from
`raw_transactions`.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import pyarrow as pa

from core.lake import sql_time
from core.tables import REPLACEMENTS
from data_processing.lake_tables import LakeTables
from data_processing.last_spenders import LastSpenders, Replacement, pair_of
from data_processing.micro_batch import MicroBatch
from monitoring.stream_metrics import StreamMetrics

_ROWS_AT_ONCE = 50_000
_MINUTE = timedelta(minutes=1)


class Minute(NamedTuple):
    """How many rows a minute has, and how many outpoints they spend at most."""

    at: datetime
    rows: int
    outpoints: int


class Replacements:
    """A chore: writes the replacements that micro-batches find, at most once every `seconds`."""

    name = "replacements"

    def __init__(
        self,
        tables: LakeTables,
        spenders: LastSpenders,
        seconds: float,
        metrics: StreamMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tables, self._seconds, self._metrics, self._clock = tables, seconds, metrics, clock
        self._spenders = spenders
        self._unwritten = self._recover(spenders.most)
        self._not_before = 0.0

    def on_batch(self, batch: MicroBatch) -> None:
        """Take the replacements that the new transactions make."""
        self._unwritten += batch.replacements
        self._metrics.known_outpoints.set(len(self._spenders))

    def due(self) -> bool:
        """Whether replacements are unwritten and the last write is long enough ago."""
        return bool(self._unwritten) and self._clock() >= self._not_before

    def run(self) -> None:
        """Write the replacements in one commit."""
        table = pa.Table.from_pylist(self._unwritten, schema=REPLACEMENTS)
        self._tables.append_arrow("replacements", table)
        self._metrics.rows.labels("replacements").inc(table.num_rows)
        self._unwritten = []
        self._not_before = self._clock() + self._seconds

    def _recover(self, most: int) -> list[Replacement]:
        """Fill the memory from the table; return the replacements that a crash left unwritten."""
        periods = periods_to_replay(self._rows_by_minute(most), most)
        if not periods:
            return []
        replacements: list[Replacement] = []
        for since, until in periods:
            for start in range(0, (rows := self._rows(since, until)).num_rows, _ROWS_AT_ONCE):
                replacements += self._spenders.add(rows.slice(start, _ROWS_AT_ONCE))
        sql = f"""SELECT "hash", replaced_hash FROM replacements
            WHERE append_time >= {sql_time(periods[0][0])}"""
        written = {pair_of(row) for row in self._tables.query(sql, "replacements").to_pylist()}
        return [row for row in replacements if pair_of(row) not in written]

    def _rows_by_minute(self, most: int) -> list[Minute]:
        """The minutes of the newest dates that have `most` rows together, oldest first."""
        first, rows = None, 0
        for day, count in sorted(self._tables.rows_by_date("raw_transactions").items())[::-1]:
            if rows >= most:
                break
            first, rows = day, rows + count
        if first is None:
            return []
        minutes = self._tables.query(
            "SELECT date_trunc('minute', append_time) AS at, COUNT(*) AS n, SUM(inputs_count) AS s "
            f"FROM raw_transactions WHERE date >= '{first}' GROUP BY 1 ORDER BY 1",
            "raw_transactions",
        ).to_pylist()
        return [Minute(row["at"], row["n"], row["s"]) for row in minutes]

    def _rows(self, since: datetime, until: datetime) -> pa.Table:
        """The rows of a period whose outpoints are recorded, in the order they were published."""
        return self._tables.query(
            "SELECT hash, fee, spent_outpoints, append_time FROM raw_transactions "
            f"WHERE date BETWEEN '{since.date()}' AND '{until.date()}' "
            f"AND append_time >= {sql_time(since)} AND append_time < {sql_time(until)} "
            'AND spent_outpoints IS NOT NULL ORDER BY append_time, "partition", "offset"',
            "raw_transactions",
        )


def periods_to_replay(minutes: list[Minute], most: int) -> list[tuple[datetime, datetime]]:
    """The periods (start, end) with the newest `most` outpoints, oldest first.

    A period has 50,000 rows or is one minute: a day at once would take a gigabyte.
    """
    outpoints, first = 0, len(minutes)
    while first and outpoints < most:
        first -= 1
        outpoints += minutes[first].outpoints
    periods: list[tuple[datetime, datetime]] = []
    rows = _ROWS_AT_ONCE
    for minute in minutes[first:]:
        end = minute.at + _MINUTE
        rows += minute.rows
        if rows > _ROWS_AT_ONCE:
            periods.append((minute.at, end))
            rows = minute.rows
        else:
            periods[-1] = (periods[-1][0], end)
    return periods
