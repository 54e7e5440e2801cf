"""Keeps the tables small: few files, no old versions, a short log, no rows past their time.

Done by delta-rs, in this process and between micro-batches, so that nothing else writes meanwhile.
Files that a newer version has replaced stay for hours, so that readers who opened the older one
finish; what they may need of the log stays as long.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from deltalake import DeltaTable

from core.lake import open_table
from core.settings import StreamSettings
from core.tables import TABLES
from data_processing.intake import Taken
from data_processing.sinks import Sinks
from monitoring.stream_metrics import StreamMetrics

log = logging.getLogger(__name__)

_SMALL_BYTES, _WHOLE_BYTES = 16 * 2**20, 128 * 2**20
"""Today's files are joined up to the first size, those of a day that has ended up to the second:
a row is written again a few times, not once in every compaction."""

_CHECK_SECONDS, _SWEEP_SECONDS = 60.0, 3_600.0


@dataclass(frozen=True)
class File:
    """One data file of a table."""

    day: date
    size: int


def files_of(table: DeltaTable) -> list[File]:
    """The files of the newest version, as the log lists them."""
    actions = pa.table(table.get_add_actions(flatten=True))
    columns = (actions["partition.date"].to_pylist(), actions["size_bytes"].to_pylist())
    return [File(day, size) for day, size in zip(*columns, strict=True)]


def to_compact(files: list[File], today: date, most_small: int) -> dict[date, int]:
    """The partitions to compact, and the size that their files are joined up to.

    A partition is due when more than `most_small` of its files are small; one whose day has ended,
    when it has two that fit in one.

    >>> day = date(2026, 1, 2)
    >>> to_compact([File(day, 10)] * 3, day, 3), to_compact([File(day, 10)] * 4, day, 3)
    ({}, {datetime.date(2026, 1, 2): 16777216})
    """
    small = Counter(file.day for file in files if file.size < _SMALL_BYTES)
    due = {day: _SMALL_BYTES for day, count in small.items() if count > most_small}
    unfinished = Counter(file.day for file in files if file.size < _WHOLE_BYTES // 2)
    return due | {
        day: _WHOLE_BYTES for day, count in unfinished.items() if count > 1 and day < today
    }


class Housekeeping:
    """A chore: looks at every table once a minute, and sweeps once an hour."""

    name = "housekeeping"

    def __init__(
        self,
        sinks: Sinks,
        settings: StreamSettings,
        metrics: StreamMetrics,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sinks, self._settings, self._metrics = sinks, settings, metrics
        self._clock, self._now = clock, now
        self._next_check = self._next_sweep = clock()

    def notice(self, taken: Taken) -> None:
        """Micro-batches change nothing here: the tables are looked at themselves."""

    def due(self) -> bool:
        """Whether a minute has passed."""
        return self._clock() >= self._next_check

    def run(self) -> None:
        """Drop what is past its time, compact, and once an hour sweep."""
        sweep = self._clock() >= self._next_sweep
        for name in TABLES:
            self._keep(name)
            if sweep:
                self._sweep(name)
            self._tell(name)
        self._next_check = self._clock() + _CHECK_SECONDS
        if sweep:
            self._next_sweep = self._clock() + _SWEEP_SECONDS

    def _open(self, name: str) -> DeltaTable:
        table = open_table(self._sinks.lake, name, self._sinks.origin)
        assert table is not None, "the foundation is laid at the start"
        return table

    def _keep(self, name: str) -> None:
        table, today = self._open(name), self._now().date()
        files = files_of(table)
        oldest = today - timedelta(days=self._settings.retention_days)
        if any(file.day < oldest for file in files):
            table.delete(f"date < '{oldest}'")
            log.info("dropped rows table=%s before=%s", name, oldest)
        due = to_compact(
            [f for f in files if f.day >= oldest], today, self._settings.compact_after_files
        )
        for day, size in due.items():
            done = table.optimize.compact([("date", "=", str(day))], target_size=size)
            log.info(
                "compacted table=%s date=%s files=%d into=%d",
                *(name, day, done["numFilesRemoved"], done["numFilesAdded"]),
            )

    def _sweep(self, name: str) -> None:
        """Remove files that no version of the last hours needs, and the log before them."""
        table = self._open(name)
        removed = table.vacuum(
            self._settings.vacuum_after_hours,
            dry_run=False,
            enforce_retention_duration=False,
            full=True,
        )
        if table.version() > 0:
            table = self._open(name)
            table.create_checkpoint()
            table.cleanup_metadata()
        if removed:
            log.info("swept table=%s files=%d", name, len(removed))

    def _tell(self, name: str) -> None:
        files = files_of(self._open(name))
        self._metrics.table_files.labels(name).set(len(files))
        self._metrics.table_bytes.labels(name).set(sum(file.size for file in files))
