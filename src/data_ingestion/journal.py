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

import logging
import math
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.topics import BLOCKS

log = logging.getLogger(__name__)

DAY = 86_400
"""Seconds in a day."""

_GENERATIONS = 7
_LEAST_TABLES = _GENERATIONS + 2
"""So many tables are kept, however old they seem: one reading of a clock forgets nothing."""
_DAY_TABLE = "marks_from_day_"
_CHAIN_LENGTH = 2_016
_CACHE_KIB = 8_192

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""What SQLite answers where the file is at fault, not where it is locked or the disk is full."""

_FILES = ("", "-wal", "-shm")
"""A database, its write-ahead log and the log's index; each is of no use without the others."""

_HELD = "select topic, key, value, mark, height from held order by id"
_KINDS = (str, str, bytes, bytes | None, int | None)
_CHAIN = "select height, hash from chain order by height"

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


class JournalDamagedError(sqlite3.DatabaseError):
    """The file is not the database that was written."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class Journal:
    """The file at `path`, created if it does not exist; a mark is kept for `days` days or more.

    Used by one thread. Opening checks the whole file, which takes a second for some million marks.
    Raises `sqlite3.Error` when the file cannot be used.
    """

    def __init__(self, path: Path, days: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._days = days
        self._span = max(1, math.ceil(days / _GENERATIONS))
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        execute = self._database.execute
        execute("pragma journal_mode=wal")
        execute("pragma synchronous=normal")
        execute(f"pragma cache_size=-{_CACHE_KIB}")
        (check,) = execute("pragma quick_check(1)").fetchone()
        if check != "ok":
            raise JournalDamagedError(check)
        try:
            self._database.executescript(_TABLES)
            for query in (_HELD, _CHAIN, "select next_request from budget", *self._mark_queries()):
                execute(f"{query} limit 0")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise
            raise JournalDamagedError(f"it is another database: {error}") from error
        execute("create temp table candidates (mark blob primary key) without rowid")

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
        return [Record(*row) for row in self._database.execute(_HELD)]

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

    def _mark_queries(self) -> list[str]:
        return [f'select mark from "{table}"' for table in self._mark_tables()]

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


def open_journal(path: Path, days: float, now: float) -> Journal:
    """The journal at `path`; a damaged one is set aside and a new one begun with what it still has.

    `now` is a Unix time in seconds. Raises `sqlite3.Error` or `OSError` for a file that cannot be
    used for another reason: no permission, a full disk, another process.
    """
    try:
        return Journal(path, days)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        kept = set_aside(path, now, str(error))
    journal = Journal(path, days)
    _recover(kept, journal)
    return journal


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the error says that the file itself is at fault."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def set_aside(path: Path, now: float, reason: str) -> Path:
    """Rename a damaged journal to a name with the time, log what that means, and return it."""
    kept = path.with_name(f"{path.name}.damaged-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}")
    for suffix in _FILES:
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{kept}{suffix}")
    log.error(
        "event=journal_damaged file=%s reason=%s meaning=a new journal is begun; transactions that "
        "were published before may be published once more, and the stream recognises them; delete "
        "the file when nobody wants to examine it",
        kept,
        reason,
    )
    return kept


def _recover(kept: Path, journal: Journal) -> None:
    """Take what a damaged journal still gives of its held records and its place in the chain."""
    held: list[Record] = []
    blocks: list[Record] = []
    with suppress(sqlite3.Error), closing(sqlite3.connect(kept)) as damaged:
        for height, name in damaged.execute(_CHAIN):
            if isinstance(height, int) and isinstance(name, str):
                blocks.append(Record(BLOCKS, name, b"", height=height))
        held.extend(Record(*row) for row in damaged.execute(_HELD) if _is_record(row))
    journal.acknowledge(blocks, 0)
    journal.hold(held)
    log.warning(
        "event=journal_recovered blocks=%d held_records=%d continues_at=%s",
        len(blocks),
        len(held),
        "the next block" if blocks else "the newest block: those mined before it are left out",
    )


def _is_record(row: tuple[object, ...]) -> bool:
    """Whether the values have the types of a record, which those of a damaged page may not have."""
    return all(isinstance(value, kind) for value, kind in zip(row, _KINDS, strict=True))


def _day_of(table: str) -> int:
    """The first day of a table of marks, in days since 1970."""
    return int(table.removeprefix(_DAY_TABLE))
