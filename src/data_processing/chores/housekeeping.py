"""Keeps the tables small: few files, no old versions, a short log, no rows past their retention.

delta-rs does it in this process, between micro-batches, so that nothing else writes meanwhile.
Files that a newer version has replaced stay for `VACUUM_AFTER_HOURS`, so that readers of the older
version can finish. The part of the log that they need stays as long.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from core.settings import StreamSettings
from core.tables import TABLES
from data_processing.lake_tables import DataFile, LakeTables, files_of
from data_processing.micro_batch import MicroBatch
from monitoring.stream_metrics import StreamMetrics

log = logging.getLogger(__name__)

_SMALL_BYTES, _LARGE_BYTES = 16 * 2**20, 128 * 2**20
"""Files of today are compacted to the first size, those of a day that has ended to the second: a
row is rewritten a few times, not with every compaction."""

_CHECK_SECONDS, _VACUUM_SECONDS = 60.0, 3_600.0


def partitions_to_compact(files: list[DataFile], today: date, most_small: int) -> dict[date, int]:
    """The partitions to compact, and the file size to compact to, in bytes.

    A partition is due when more than `most_small` of its files are small. One whose day has ended
    is also due when two of its files are less than half of the large size.

    >>> day = date(2026, 1, 2)
    >>> partitions_to_compact([DataFile(day, 10)] * 3, day, 3)
    {}
    >>> partitions_to_compact([DataFile(day, 10)] * 4, day, 3)
    {datetime.date(2026, 1, 2): 16777216}
    """
    small = Counter(file.day for file in files if file.size < _SMALL_BYTES)
    due = {day: _SMALL_BYTES for day, count in small.items() if count > most_small}
    below_half = Counter(file.day for file in files if file.size < _LARGE_BYTES // 2)
    return due | {
        day: _LARGE_BYTES for day, count in below_half.items() if count > 1 and day < today
    }


class Housekeeping:
    """A chore: deletes old rows and compacts once a minute, vacuums once an hour."""

    name = "housekeeping"

    def __init__(
        self,
        tables: LakeTables,
        settings: StreamSettings,
        metrics: StreamMetrics,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tables, self._settings, self._metrics = tables, settings, metrics
        self._clock, self._now = clock, now
        self._next_check = self._next_vacuum = clock()

    def on_batch(self, batch: MicroBatch) -> None:
        """Nothing to note: each run inspects the tables themselves."""

    def due(self) -> bool:
        """Whether a minute has passed."""
        return self._clock() >= self._next_check

    def run(self) -> None:
        """Go through all tables; the metrics then show their files and sizes."""
        vacuum = self._clock() >= self._next_vacuum
        for name in TABLES:
            self._delete_and_compact(name)
            if vacuum:
                self._vacuum(name)
            files = files_of(self._tables.open(name))
            self._metrics.table_files.labels(name).set(len(files))
            self._metrics.table_bytes.labels(name).set(sum(file.size for file in files))
        self._next_check = self._clock() + _CHECK_SECONDS
        if vacuum:
            self._next_vacuum = self._clock() + _VACUUM_SECONDS

    def _delete_and_compact(self, name: str) -> None:
        table, today = self._tables.open(name), self._now().date()
        files = files_of(table)
        oldest = today - timedelta(days=self._settings.retention_days)
        if any(file.day < oldest for file in files):
            table.delete(f"date < '{oldest}'")
            log.info("event=rows_deleted table=%s before=%s", name, oldest)
        due = partitions_to_compact(
            [f for f in files if f.day >= oldest], today, self._settings.compact_after_files
        )
        for day, size in due.items():
            result = table.optimize.compact([("date", "=", str(day))], target_size=size)
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
