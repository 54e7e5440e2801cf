"""What must survive `kill -9`: one SQLite file for all of it, so that one commit moves it together.

- *held*: the records on their way to the broker, until it has acknowledged them;
- *marks*: what was published in the last days, so that nothing is published twice;
- *chain*: the blocks that were published, by height; the highest is the cursor;
- the earliest moment of the next request, so that a restart does not break the source's budget.

Marks lie in tables of a quarter of the memory's length each: looking one up takes a search in each
of at most six, and forgetting is to drop the oldest table. Commits are not synced to the disk one
by one (WAL, `synchronous=NORMAL`): after a power cut the file is as it was a moment before, in all
its parts alike, and what followed is published again.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from data_ingestion.records import Record

DAY = 86_400
_GENERATIONS = 4
_CHAIN_LENGTH = 2_016
_CACHE_KIB = 8_192

_TABLES = """
create table if not exists held (
  id integer primary key, topic text not null, key text not null, value blob not null,
  mark blob, height integer);
create table if not exists chain (height integer primary key, hash text not null);
create table if not exists budget (one integer primary key check (one = 1), next_request real);
"""


class Journal:
    """The file at `path`, made when it is not there; `days` is how long a mark is kept.

    Used by one thread. Raises `sqlite3.Error` when the file cannot be used.
    """

    def __init__(self, path: Path, days: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._span = days * DAY / _GENERATIONS
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("pragma journal_mode=wal")
        self._database.execute("pragma synchronous=normal")
        self._database.execute(f"pragma cache_size=-{_CACHE_KIB}")
        self._database.executescript(_TABLES)
        self._database.execute("create temp table asked (mark blob primary key) without rowid")

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
        """Those of the marks that are not remembered."""
        with self._transaction() as database:
            database.execute("delete from asked")
            database.executemany("insert or ignore into asked values (?)", ((m,) for m in marks))
            for table in self._generations():
                database.execute(f"delete from asked where mark in (select mark from {table})")
            return {mark for (mark,) in database.execute("select mark from asked")}

    def hold(self, records: Sequence[Record]) -> None:
        """Keep records until they are settled."""
        with self._transaction() as database:
            database.executemany(
                "insert into held (topic, key, value, mark, height) values (?, ?, ?, ?, ?)",
                ((r.topic, r.key, r.value, r.mark, r.height) for r in records),
            )

    def held(self) -> list[Record]:
        """The records that were not settled, in their order."""
        rows = self._database.execute(
            "select topic, key, value, mark, height from held order by id"
        )
        return [Record(*row) for row in rows]

    def settle(self, records: Sequence[Record], now: float) -> None:
        """Say that all held records are acknowledged: remember them, move the cursor, at once."""
        with self._transaction() as database:
            table = self._generation(now)
            database.executemany(
                f"insert or ignore into {table} values (?)",
                sorted((r.mark,) for r in records if r.mark is not None),
            )
            for record in records:
                if record.height is not None:
                    self._accept(record.height, record.key)
            database.execute("delete from held")

    def _accept(self, height: int, block_hash: str) -> None:
        execute = self._database.execute
        execute(
            "delete from chain where height >= ? or height < ?", (height, height - _CHAIN_LENGTH)
        )
        execute("insert into chain values (?, ?)", (height, block_hash))

    def _generations(self) -> list[str]:
        rows = self._database.execute(
            "select name from sqlite_schema where type = 'table' and name glob 'marks_*'"
        )
        return [name for (name,) in rows]

    def _generation(self, now: float) -> str:
        """The table for marks of now; making a new one drops those that are too old."""
        current = int(now // self._span)
        table = f"marks_{current}"
        names = self._generations()
        if table not in names:
            self._database.execute(f"create table {table} (mark blob primary key) without rowid")
            for name in names:
                if int(name.removeprefix("marks_")) < current - _GENERATIONS:
                    self._database.execute(f"drop table {name}")
        return table

    def tip(self) -> tuple[int, str] | None:
        """Height and hash of the last block that was published."""
        row: tuple[int, str] | None = self._database.execute(
            "select height, hash from chain order by height desc limit 1"
        ).fetchone()
        return row

    def block_at(self, height: int) -> str | None:
        """Hash of the block that was published for a height, if one was."""
        row = self._database.execute(
            "select hash from chain where height = ?", (height,)
        ).fetchone()
        return row[0] if row else None

    @property
    def next_request(self) -> float:
        """Unix time before which the source must not be asked."""
        row = self._database.execute("select next_request from budget").fetchone()
        return row[0] if row else 0.0

    @next_request.setter
    def next_request(self, moment: float) -> None:
        self._database.execute("insert or replace into budget values (1, ?)", (moment,))
