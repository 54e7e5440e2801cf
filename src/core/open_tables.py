"""The tables of a lake, kept open between queries of a service that answers many.

Each query sees the newest version. A single thread of the engine reads, and what it may hold is
bounded, whatever is asked.
"""

from datetime import date
from threading import Lock
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from core.delta_log import newest_commit_is_empty
from core.lake import open_table, rows, rows_by_date, table_uri
from core.object_store import on_store


class OpenTable:
    """One table, kept open; opening it again would read its whole log. One thread at a time."""

    def __init__(self, lake: str, name: str, origin: str) -> None:
        self._place = lake, name, origin
        self._table: DeltaTable | None = None

    def newest(self) -> DeltaTable | None:
        """The newest version of the table, None while there is none; raises as `open_table`.

        After an error it is opened anew: another table may be in its place.
        """
        table, self._table = self._table, None
        if table is None or self._meets_an_empty_commit(table):
            table = open_table(*self._place)
        self._table = table
        return table

    def _meets_an_empty_commit(self, table: DeltaTable) -> bool:
        """Bring it to the newest version; whether that is a commit without content.

        Kept at such a version, it would never see the commit that comes in its place. On a store
        an object is there as a whole or not at all, and looking for it costs two requests.
        """
        version = table.version()
        table.update_incremental()
        lake, name, _ = self._place
        if on_store(lake) or table.version() == version:
            return False
        return newest_commit_is_empty(table_uri(lake, name), table.version())

    def close(self) -> None:
        """Drop the table, so that the next call opens it anew."""
        self._table = None


class OpenTables:
    """The tables of one lake; `origin` is `live` or `simulated`, and one of the other is refused.

    Any thread may ask.
    """

    def __init__(self, lake: str, origin: str) -> None:
        self.lake, self.origin = lake, origin
        self._open: dict[str, OpenTable] = {}
        self._lock = Lock()

    def ask(self, sql: str, *names: str) -> list[dict[str, Any]]:
        """The rows of an SQL query on the named tables; none while one of them does not exist.

        Columns that a table of an earlier version lacks are null. Raises `OriginMismatchError`,
        and `DeltaError` or `OSError` when a table cannot be read.
        """
        try:
            return self._rows(sql, names)
        except (DeltaError, OSError):
            # Another table may be in its place, and then only opening it again helps.
            with self._lock:
                self._open.clear()
            return self._rows(sql, names)

    def rows_by_date(self, name: str) -> dict[date, int]:
        """The number of rows of each of a table's partitions; raises as `ask` does."""
        with self._lock:
            table = self._newest(name)
            return {} if table is None else rows_by_date(table)

    def _rows(self, sql: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
        with self._lock:
            tables = {name: table for name in names if (table := self._newest(name)) is not None}
        if len(tables) < len(names):
            return []
        return rows(sql, **tables)

    def _newest(self, name: str) -> DeltaTable | None:
        """The newest version of a table, None while there is none; the lock must be held."""
        if name not in self._open:
            self._open[name] = OpenTable(self.lake, name, self.origin)
        return self._open[name].newest()
