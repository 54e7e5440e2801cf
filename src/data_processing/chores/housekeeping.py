"""Keeps the tables small: few files, no old versions, a short log, no rows past their retention.

delta-rs does it in this process, between micro-batches, so that nothing else writes meanwhile.
Files that a newer version has replaced stay for `VACUUM_AFTER_HOURS`, so that readers of the older
version can finish. They need no log for that, and each commit lists it: it is cut down to the
newest commits.

Dates are deleted when both the clock and the dates that have rows say so: a wrong clock alone, here
or at the broker, deletes at most the date or two that it adds.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any

from deltalake import (
    BloomFilterProperties,
    ColumnProperties,
    DeltaTable,
    WriterProperties,
)
from deltalake.exceptions import DeltaError

from core import delta_log
from core.lake import table_uri
from core.settings import StreamSettings
from core.tables import TABLES
from data_processing.lake_tables import DataFile, LakeTables, files_of
from data_processing.micro_batch import MicroBatch
from data_processing.seen_transactions import SeenTransactions
from monitoring.stream_metrics import StreamMetrics

log = logging.getLogger(__name__)

_SMALL_BYTES, LARGE_BYTES = 4 * 2**20, 128 * 2**20
"""Files of today are compacted to the first size, those of a day that has ended to the second: a
row is rewritten a few times, not with every compaction."""

_SORTED_BY = {"movements": "address"}
"""Tables whose ended days are sorted when they are compacted: a look-up then reads one part of each
day. A sorted day has one small file at most, so it is not due again until rows are added."""

_PART_ROWS = 100_000
"""Rows of one part of a file: a look-up reads one such part of a day."""


def _parts(**columns: ColumnProperties) -> WriterProperties:
    return WriterProperties(
        compression="ZSTD",
        compression_level=4,
        max_row_group_size=_PART_ROWS,
        column_properties=columns or None,
    )


_BY_HASH = _parts(
    hash=ColumnProperties(bloom_filter_properties=BloomFilterProperties(True, 0.01, _PART_ROWS))
)
"""A Bloom filter of 1.2 bytes a row says which part may have a hash: they are not sorted."""

WRITTEN = {
    "movements": _parts(),
    "raw_transactions": _BY_HASH,
    "scored_transactions": _BY_HASH,
}
"""How the files of tables in which rows are looked up are written when they are joined."""

_SORTING_BYTES = 256 * 2**20
"""Memory for sorting a day; what is more goes to temporary files. It is enough for the four million
movements of a day of mainnet, which take some ten seconds."""

_ROUND_SECONDS, _VACUUM_SECONDS = 60.0, 3_600.0
_CHECKPOINT_COMMITS, _KEPT_COMMITS = 50, 600
"""Commits from which on a log gets a checkpoint, which saves its readers as many files; and the
newest commits that stay in it, ten minutes of them where there is one a second."""

_MOST_UNSAVED = 1_000_000
"""Keys in memory that are saved before the hour has passed; they take 16 MB."""


def expired_dates(
    dates: Collection[date], with_rows: Collection[date], today: date, retention_days: int
) -> list[date]:
    """The dates of a table to delete: older than `retention_days` in two ways.

    They are so by the clock, `today`. And `retention_days` later dates up to today are among
    `with_rows`, the dates of `raw_transactions`: a clock that is wrong adds few such dates.

    >>> days = [date(2026, 1, day) for day in range(1, 13)]
    >>> expired_dates(days, days, date(2026, 1, 12), 9)
    [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)]
    >>> expired_dates(days[:9], days[:9], date(2027, 2, 3), 9)
    []
    """
    oldest = today - timedelta(days=retention_days)
    later = sorted(day for day in with_rows if day <= today)[-retention_days:]
    if len(later) < retention_days:
        return []
    return sorted(day for day in dates if day < oldest and day < later[0])


def partitions_to_compact(files: list[DataFile], today: date, most_small: int) -> dict[date, int]:
    """The partitions to compact, and the file size to compact to, in bytes.

    A partition is due when more than `most_small` of its files are small. One whose day has ended
    is also due when two of its files are less than half of the large size.

    >>> day = date(2026, 1, 2)
    >>> partitions_to_compact([DataFile(day, 10)] * 3, day, 3)
    {}
    >>> partitions_to_compact([DataFile(day, 10)] * 4, day, 3)
    {datetime.date(2026, 1, 2): 4194304}
    """
    small = Counter(file.day for file in files if file.size < _SMALL_BYTES)
    due = {day: _SMALL_BYTES for day, count in small.items() if count > most_small}
    below_half = Counter(file.day for file in files if file.size < LARGE_BYTES // 2)
    return due | {
        day: LARGE_BYTES for day, count in below_half.items() if count > 1 and day < today
    }


def rewrite(name: str, table: DeltaTable, day: date, size: int) -> dict[str, Any]:
    """Join the files of a date to that size in bytes, and sort those of a day that has ended.

    A date that is too large for `_SORTING_BYTES` is joined unsorted: look-ups in it take longer.
    """
    where, written = [("date", "=", str(day))], WRITTEN.get(name)
    if size == LARGE_BYTES and (column := _SORTED_BY.get(name)):
        try:
            return table.optimize.z_order(
                [column],
                where,
                target_size=size,
                max_concurrent_tasks=1,
                max_spill_size=_SORTING_BYTES,
                writer_properties=written,
            )
        except DeltaError as error:
            log.warning("event=day_not_sorted date=%s column=%s reason=%s", day, column, error)
    return table.optimize.compact(where, target_size=size, writer_properties=written)


class Housekeeping:
    """A chore: deletes old rows, compacts and cuts logs once a minute, vacuums once an hour.

    It goes through one table at a time, so that no micro-batch waits long for it. Once an hour, or
    when they are many, it also saves the keys of the rows that are `seen`.
    """

    name = "housekeeping"

    def __init__(
        self,
        tables: LakeTables,
        seen: SeenTransactions,
        settings: StreamSettings,
        metrics: StreamMetrics,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tables, self._seen, self._settings, self._metrics = tables, seen, settings, metrics
        self._clock, self._now = clock, now
        self._next_turn = self._next_vacuum = clock()
        self._left: list[str] = []
        self._vacuums = False

    def on_batch(self, batch: MicroBatch) -> None:
        """Nothing to note: each run inspects the tables themselves."""

    def due(self) -> bool:
        """Whether it is the next table's turn: each has one a minute."""
        return self._clock() >= self._next_turn

    def run(self) -> None:
        """Go through the next table; the metrics then show its files and size."""
        if not self._left:
            self._left = list(TABLES)
            self._vacuums = self._clock() >= self._next_vacuum
        name = self._left.pop(0)
        self._delete(name, self._tables.rows_by_date("raw_transactions"))
        self._compact(name)
        if self._vacuums:
            self._vacuum(name)
        self._shorten_log(name)
        files = files_of(self._tables.open(name))
        self._metrics.table_files.labels(name).set(len(files))
        self._metrics.table_bytes.labels(name).set(sum(file.size for file in files))
        if not self._left:
            self._end_round()
        self._next_turn = self._clock() + _ROUND_SECONDS / len(TABLES)

    def _shorten_log(self, name: str) -> None:
        uri = table_uri(self._tables.lake, name)
        if delta_log.commits_since_checkpoint(uri) >= _CHECKPOINT_COMMITS:
            self._tables.open(name).create_checkpoint()
        delta_log.clear(uri, _KEPT_COMMITS)

    def _end_round(self) -> None:
        if self._vacuums or self._seen.unsaved >= _MOST_UNSAVED:
            self._save_keys()
        if self._vacuums:
            self._next_vacuum = self._clock() + _VACUUM_SECONDS

    def _save_keys(self) -> None:
        try:
            self._seen.save()
        except OSError as error:  # they stay in memory until there is room
            log.warning(
                "event=known_keys_not_saved unsaved=%d reason=%s", self._seen.unsaved, error
            )

    def _delete(self, name: str, with_rows: Collection[date]) -> None:
        rows, days = self._tables.rows_by_date(name), self._settings.retention_days
        if not (expired := expired_dates(rows, with_rows, self._now().date(), days)):
            return
        listed = ", ".join(f"'{day}'" for day in expired)
        self._tables.open(name).delete(f"date IN ({listed})")
        deleted = sum(rows[day] for day in expired)
        self._metrics.deleted_rows.labels(name).inc(deleted)
        log.log(
            logging.INFO if len(expired) == 1 else logging.WARNING,
            "event=rows_deleted table=%s dates=%d from=%s to=%s rows=%d retention_days=%d",
            *(name, len(expired), expired[0], expired[-1], deleted, days),
        )

    def _compact(self, name: str) -> None:
        table = self._tables.open(name)
        due = partitions_to_compact(
            files_of(table), self._now().date(), self._settings.compact_after_files
        )
        for day, size in due.items():
            result = rewrite(name, table, day, size)
            log.info(
                "event=table_compacted table=%s date=%s files=%d into=%d",
                *(name, day, result["numFilesRemoved"], result["numFilesAdded"]),
            )

    def _vacuum(self, name: str) -> None:
        """Remove files that no version of the last hours needs, and the log before them.

        The log is cleared before the new checkpoint is made: the one before it stays, with every
        commit since, should the new one be damaged.
        """
        table = self._tables.open(name)
        removed = table.vacuum(
            self._settings.vacuum_after_hours,
            dry_run=False,
            enforce_retention_duration=False,
            full=True,
        )
        if table.version() > 0:
            table = self._tables.open(name)
            table.cleanup_metadata()
            table.create_checkpoint()
        if removed:
            log.info("event=table_vacuumed table=%s files=%d", name, len(removed))
