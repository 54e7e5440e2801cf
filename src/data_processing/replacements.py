"""Keeps `replacements`: found in memory as rows come, and found again after a crash."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pyarrow as pa

from core.lake import sql_time
from core.tables import REPLACEMENTS
from data_processing.intake import Taken
from data_processing.sinks import Sinks
from data_processing.spenders import KnownSpenders, pair_of
from monitoring.stream_metrics import StreamMetrics

_ROWS_AT_ONCE = 50_000
_HOUR = timedelta(hours=1)


class Replacements:
    """A chore: writes the replacements that were found, not more often than set."""

    name = "replacements"

    def __init__(
        self,
        sinks: Sinks,
        horizon_hours: int,
        seconds: float,
        metrics: StreamMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sinks, self._seconds, self._metrics, self._clock = sinks, seconds, metrics, clock
        self._spenders = KnownSpenders(horizon_hours)
        self._found = self._missing(timedelta(hours=horizon_hours))
        self._not_before = 0.0

    def notice(self, taken: Taken) -> None:
        """Look for replacements among the new transactions."""
        self._found += self._spenders.replacements(taken.new)
        self._metrics.known_outpoints.set(len(self._spenders))

    def due(self) -> bool:
        """Whether any were found and the last writing is long enough ago."""
        return bool(self._found) and self._clock() >= self._not_before

    def run(self) -> None:
        """Write them in one commit."""
        table = pa.Table.from_pylist(self._found, schema=REPLACEMENTS)
        self._sinks.add("replacements", table)
        self._metrics.rows.labels("replacements").inc(table.num_rows)
        self._found = []
        self._not_before = self._clock() + self._seconds

    def _missing(self, horizon: timedelta) -> list[dict[str, object]]:
        """Fill the memory from the table, and find what a crash kept from being written."""
        newest = self._sinks.ask(
            "SELECT MAX(append_time) AS at FROM raw_transactions", "raw_transactions"
        )["at"][0].as_py()
        if newest is None:
            return []
        found = self._replay(newest - horizon, newest)
        sql = f"""SELECT "hash", replaced_hash FROM replacements
            WHERE append_time >= {sql_time(newest - horizon)}"""
        written = {pair_of(row) for row in self._sinks.ask(sql, "replacements").to_pylist()}
        return [row for row in found if pair_of(row) not in written]

    def _replay(self, since: datetime, until: datetime) -> list[dict[str, object]]:
        """See all rows between two instants again, hour by hour: a day at once takes a gigabyte."""
        found: list[dict[str, object]] = []
        while since <= until:
            for start in range(0, (rows := self._hour(since)).num_rows, _ROWS_AT_ONCE):
                found += self._spenders.replacements(rows.slice(start, _ROWS_AT_ONCE))
            since += _HOUR
        return found

    def _hour(self, since: datetime) -> pa.Table:
        """The rows of one hour that spend known outpoints, in the order they count in."""
        return self._sinks.ask(
            "SELECT hash, fee, spent_outpoints, append_time FROM raw_transactions "
            f"WHERE date BETWEEN '{since.date()}' AND '{(since + _HOUR).date()}' "
            f"AND append_time >= {sql_time(since)} AND append_time < {sql_time(since + _HOUR)} "
            'AND spent_outpoints IS NOT NULL ORDER BY append_time, "partition", "offset"',
            "raw_transactions",
        )
