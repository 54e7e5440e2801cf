"""The filtered transactions as CSV, all of them, read from the lake while they are sent.

Memory is bounded by a batch of rows, time by a deadline, and the number of exports by `Exports`.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from threading import BoundedSemaphore

import pyarrow as pa

from core.csv_text import csv_of_batch, csv_text
from core.row_filters import (
    TIMES_MARKET,
    flagged_by_column,
    flagged_condition,
    passing_condition,
)
from dashboard.activity.filters import Filters
from dashboard.lake.partitions import SCORED, partitions, range_condition
from dashboard.lake.sources import LAKE_ERRORS, Lake

log = logging.getLogger(__name__)

COLUMNS = (
    *("hash", "event_time", "size", "weight", "fee", "inputs_count", "outputs_count"),
    *("input_value", "output_value", "fee_rate", "anomaly_score", "percentile", "threshold"),
    *("is_anomaly", "pattern", "model_version", "flagged_by", "market_fee_rate", "times_market"),
    "patterns",
)


ROWS_AT_ONCE = 500
"""Rows that are written at once: Python serves nothing else in the meantime."""


class Exports:
    """Starts exports, at most `most` at one time, each of at most `seconds`.

    `open_lake` opens the lake anew for each, and `clock` returns seconds that never step back.
    """

    def __init__(
        self, open_lake: Callable[[], Lake], clock: Callable[[], float], most: int, seconds: float
    ) -> None:
        self.open_lake, self.clock, self.seconds = open_lake, clock, seconds
        self._free = BoundedSemaphore(most)

    def start(self, filters: Filters, now: datetime) -> "Export | None":
        """An export, which must be closed; None while as many as there may be are under way."""
        if not self._free.acquire(blocking=False):
            return None
        lines = csv_lines(self.open_lake(), filters, now, self._deadline())
        return Export(lines, self._free.release)

    def _deadline(self) -> Callable[[], bool]:
        end = self.clock() + self.seconds
        return lambda: self.clock() > end

    def wait_for_place(self, seconds: float) -> bool:
        """Wait until another export may start; False after so many seconds."""
        if not self._free.acquire(timeout=seconds):
            return False
        self._free.release()
        return True


class Export:
    """The lines of one export; the web server closes it whether it ended or the browser left."""

    def __init__(self, lines: Iterator[str], release: Callable[[], None]) -> None:
        self._lines, self._release = lines, release

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def close(self) -> None:
        """Let another export start; closing again does nothing."""
        release, self._release = self._release, lambda: None
        release()


def csv_lines(
    lake: Lake, filters: Filters, now: datetime, too_late: Callable[[], bool]
) -> Iterator[str]:
    """CSV with a heading: amounts in satoshi, times in UTC, by the day of arrival.

    If not all rows are in it, the last line begins with `#` and says so.
    """
    yield csv_text([COLUMNS])
    rows = 0
    try:
        for batch in _batches(lake, filters, now):
            if too_late():
                yield _cut(rows, "an export may take no longer (DASHBOARD_EXPORT_SECONDS)")
                return
            for first in range(0, batch.num_rows, ROWS_AT_ONCE):
                yield csv_of_batch(batch.slice(first, ROWS_AT_ONCE))
            rows += batch.num_rows
    except LAKE_ERRORS as error:
        log.warning("event=export_failed rows=%d reason=%s", rows, error)
        yield _cut(rows, "the lake cannot be read just now")


def _batches(lake: Lake, filters: Filters, now: datetime) -> Iterator[pa.RecordBatch]:
    """The rows of each partition of the range, some thousand at a time."""
    start, end = filters.interval(now)
    flagged = flagged_condition(filters)
    computed = {
        "is_anomaly": flagged,
        "flagged_by": flagged_by_column(filters),
        "times_market": TIMES_MARKET,
        "patterns": "coalesce(array_to_string(patterns, ' '), pattern)",
    }
    columns = ", ".join(f"{computed[c]} AS {c}" if c in computed else c for c in COLUMNS)
    condition = passing_condition(filters) + (f" AND {flagged}" if filters.only_flagged else "")
    for partition in partitions(lake):
        if partition.overlaps(start, end):
            where = f"{range_condition(partition, start, end)} AND {condition}"
            yield from lake.batches(SCORED, f"SELECT {columns} FROM {SCORED} WHERE {where}")


def _cut(rows: int, reason: str) -> str:
    log.warning("event=export_cut rows=%d reason=%s", rows, reason)
    return f"# Not all: {rows:,} rows, then it stopped, since {reason}. Choose a shorter range.\n"
