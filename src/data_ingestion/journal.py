"""The producer's memory: one SQLite file that survives `kill -9`.

- `held`: the records on their way to the broker, until it has acknowledged them;
- `marks_*`: what was published in the last days, so that nothing is published twice;
- `chain`: the blocks that were published, by height; the highest is where the next start goes on;
- `budget`: the earliest time of the next request, so that a restart keeps the request budget.

One file holds all of it, so that one commit changes it together. Each table of marks spans about a
seventh of the days for which they are kept, and is named after its first day, whatever the setting
was. A lookup searches nine tables, and forgetting drops the oldest one. Commits are not synced to
the disk one by one (WAL, `synchronous=NORMAL`): after a power cut the whole file is as it was a
moment before, and what followed is published again.
"""

import math
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DAY = 86_400
"""Seconds in a day."""

_GENERATIONS = 7
_LEAST_TABLES = _GENERATIONS + 2
"""So many tables are kept, however old they seem: one reading of a clock forgets nothing."""
_DAY_TABLE = "marks_from_day_"
_CHAIN_LENGTH = 2_016
_CACHE_KIB = 8_192

_TABLES = """
create table if not exists held (
  id integer primary key, topic text not null, key text not null, value blob not null,
  mark blob, height integer);
create table if not exists chain (height integer primary key, hash text not null);
create table if not exists budget (one integer primary key check (one = 1), next_request real);
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One message for Kafka: its topic, key and value, and what the journal remembers of it.

    `mark` identifies what must not be published twice. `height` is that of a block.
    """

    topic: str
    key: str
    value: bytes
    mark: bytes | None = None
    height: int | None = None


class Journal:
    """The file at `path`, created if it does not exist; a mark is kept for `days` days or more.

    Used by one thread. Raises `sqlite3.Error` when the file cannot be used.
    """

    def __init__(self, path: Path, days: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._days = days
        self._span = max(1, math.ceil(days / _GENERATIONS))
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("pragma journal_mode=wal")
        self._database.execute("pragma synchronous=normal")
        self._database.execute(f"pragma cache_size=-{_CACHE_KIB}")
        self._database.executescript(_TABLES)
        self._database.execute("create temp table candidates (mark blob primary key) without rowid")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("begin immediate")
        try:
            yield self._database
        except BaseException:
            self._database.execute("rollback")
            raise
        self._database.execute("commit")

    def unpublished(self, marks: Collection[bytes]) -> set[bytes]:
        """Those of the marks that were not published."""
        with self._transaction() as database:
            database.execute("delete from candidates")
            database.executemany(
                "insert or ignore into candidates values (?)", ((mark,) for mark in marks)
            )
            for table in self._mark_tables():
                database.execute(
                    f'delete from candidates where mark in (select mark from "{table}")'
                )
            return {mark for (mark,) in database.execute("select mark from candidates")}

    def hold(self, records: Sequence[Record]) -> None:
        """Keep records until they are acknowledged."""
        with self._transaction() as database:
            database.executemany(
                "insert into held (topic, key, value, mark, height) values (?, ?, ?, ?, ?)",
                ((r.topic, r.key, r.value, r.mark, r.height) for r in records),
            )

    def held(self) -> list[Record]:
        """The records that are not acknowledged, in their order."""
        rows = self._database.execute(
            "select topic, key, value, mark, height from held order by id"
        )
        return [Record(*row) for row in rows]

    def acknowledge(self, records: Sequence[Record], now: float) -> None:
        """Note, in one commit, that the broker has acknowledged all held records.

        `records` are the held records: their marks and blocks count as published from now on.
        """
        with self._transaction() as database:
            table = self._mark_table(now)
            database.executemany(
                f'insert or ignore into "{table}" values (?)',
                sorted((r.mark,) for r in records if r.mark is not None),
            )
            for record in records:
                if record.height is not None:
                    self._append_block(record.height, record.key)
            database.execute("delete from held")

    def _append_block(self, height: int, block_hash: str) -> None:
        """Make this block the highest one; the blocks that it replaces are deleted."""
        execute = self._database.execute
        execute(
            "delete from chain where height >= ? or height < ?", (height, height - _CHAIN_LENGTH)
        )
        execute("insert into chain values (?, ?)", (height, block_hash))

    def _mark_tables(self) -> list[str]:
        rows = self._database.execute(
            "select name from sqlite_schema where type = 'table' and name glob 'marks_*'"
        )
        return [name for (name,) in rows]

    def _mark_table(self, now: float) -> str:
        """The table for marks of now; creating one drops those that are too old."""
        today = int(now // DAY)
        self._rename_numbered_tables(today)
        days = sorted(map(_day_of, self._mark_tables()))
        current = max((day for day in days if day <= today), default=-self._span)
        if today < current + self._span:
            return f"{_DAY_TABLE}{current}"
        table = f"{_DAY_TABLE}{today}"
        self._database.execute(f'create table "{table}" (mark blob primary key) without rowid')
        days = sorted([*days, today])
        for day, end in zip(days[:-_LEAST_TABLES], days[1:], strict=False):
            if end <= today - self._days:
                self._database.execute(f'drop table "{_DAY_TABLE}{day}"')
        return table

    def _rename_numbered_tables(self, today: int) -> None:
        """Name the tables of earlier versions, `marks_N`, after the last days in their order.

        Their numbers depend on the setting of that time, so their true days are not known: they are
        kept for at most as many days more.
        """
        tables = self._mark_tables()
        numbered = [name for name in tables if not name.startswith(_DAY_TABLE)]
        numbered.sort(key=lambda name: int(name.removeprefix("marks_")), reverse=True)
        first = min([today + 1, *map(_day_of, set(tables) - set(numbered))])
        for age, name in enumerate(numbered, start=1):
            self._database.execute(f'alter table {name} rename to "{_DAY_TABLE}{first - age}"')

    def last_block(self) -> tuple[int, str] | None:
        """Height and hash of the highest block that was published."""
        row: tuple[int, str] | None = self._database.execute(
            "select height, hash from chain order by height desc limit 1"
        ).fetchone()
        return row

    def block_hash_at(self, height: int) -> str | None:
        """Hash of the block that was published at a height, or None."""
        row = self._database.execute(
            "select hash from chain where height = ?", (height,)
        ).fetchone()
        return row[0] if row else None

    @property
    def next_request(self) -> float:
        """Unix time before which no request to the source may be made."""
        row = self._database.execute("select next_request from budget").fetchone()
        return row[0] if row else 0.0

    @next_request.setter
    def next_request(self, time: float) -> None:
        self._database.execute("insert or replace into budget values (1, ?)", (time,))


def _day_of(table: str) -> int:
    """The first day of a table of marks, in days since 1970."""
    return int(table.removeprefix(_DAY_TABLE))
