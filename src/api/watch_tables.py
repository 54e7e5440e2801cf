"""The watch list as the API keeps it, and what the lake has seen of it.

One thread a process changes the list; changes of other processes are read before each.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from fastapi import HTTPException

from api.watch_schemas import (
    EntryChange,
    EntryHistory,
    EntryRemoved,
    EntrySeen,
    WatchListChanged,
    WatchListPage,
    WatchListSeen,
)
from core.casework import CaseworkStore
from core.lake import open_table, query, sql_list, sql_time
from core.tables import EVENT_AFTER
from core.watch_list import (
    MAX_ENTRIES,
    TABLE,
    WatchedEntry,
    WatchListInForce,
    changes,
    removal,
    warning,
)
from core.watch_list_files import csv_text

MOST_CHANGES, MOST_WARNINGS = 1_000, 20
_CHECKED = 10_000
"""Entries of one change of which the checksum is looked at: each takes 25 microseconds."""

_WATCHED = ("entry", "kind", "name", "reason", "severity", "author", "changed_at")
_ROWS_PER_DEED = 8
"""Rows of `movements` read for each deed that is asked for: a deed has several at times."""

_FEW_ENTRIES = 100
"""So many are named in the query, which lets it skip files; more are looked up in the table."""

_IN_FORCE = (
    "(SELECT entry FROM watch_list GROUP BY entry"
    " HAVING last_value(action ORDER BY changed_at) <> 'removed')"
)
"""The same as `core.watch_list.current_list`, within a query."""


class WatchListTable:
    """Reads and changes the list; used by one thread at a time.

    Every method raises `OriginMismatchError`, and `DeltaError` or `OSError` when the table cannot
    be read or written.
    """

    def __init__(self, store: CaseworkStore) -> None:
        self._store = store
        self._in_force = WatchListInForce(store)

    def rows(self) -> pa.Table:
        """The entries in force, by entry."""
        self._in_force.refresh()
        return self._in_force.rows

    def page(self, search: str, offset: int, limit: int) -> WatchListPage:
        """Entries of which entry, name or reason has the text, in any case."""
        rows = self.rows()
        found = rows
        if search:
            columns = [rows[name] for name in ("entry", "name", "reason")]
            masks = [pc.match_substring(column, search, ignore_case=True) for column in columns]
            found = rows.filter(pc.or_(pc.or_(masks[0], masks[1]), masks[2]))
        shown = found.slice(offset, limit).select(_WATCHED).to_pylist()
        return {"entries": shown, "matching": found.num_rows, "total": rows.num_rows}

    def put(self, given: Sequence[WatchedEntry], author: str) -> WatchListChanged:
        """Put entries on the list in one commit; raises `HTTPException` 422 if it gets too long."""
        done = changes(self.rows(), given, author, self._in_force.next_time())
        total = self._in_force.rows.num_rows + done.added
        if total > MAX_ENTRIES:
            raise HTTPException(422, f"The list would have more than {MAX_ENTRIES:,} entries.")
        if done.rows.num_rows:
            self._store.append(TABLE, done.rows)
        return {
            "added": done.added,
            "changed": done.changed,
            "unchanged": done.unchanged,
            "total": total,
            "warnings": _warnings(given[:_CHECKED]),
        }

    def remove(self, entry: str, author: str) -> EntryRemoved:
        """Take an entry off the list; raises `HTTPException` 404 where it is not on it."""
        row = removal(self.rows(), entry, author, self._in_force.next_time())
        if row is None:
            raise HTTPException(404, "This entry is not on the list.")
        self._store.append(TABLE, row)
        return {"removed": entry, "total": self._in_force.rows.num_rows - 1}

    def history(self, entry: str) -> EntryHistory:
        """Every change of an entry, which has only letters and digits."""
        sql = (
            f"SELECT * FROM watch_list WHERE entry = '{entry}'"
            f" ORDER BY changed_at DESC LIMIT {MOST_CHANGES}"
        )
        rows = self._store.query(sql, TABLE)
        found: list[EntryChange] = [] if rows is None else rows.to_pylist()
        return {"changes": found}

    def csv(self) -> str:
        """The entries in force as a file."""
        return csv_text(self.rows())


def _warnings(given: Iterable[WatchedEntry]) -> list[str]:
    found: list[str] = []
    for each in given:
        if words := warning(each.entry, each.kind):
            found.append(words)
        if len(found) == MOST_WARNINGS:
            break
    return found


class WatchedInLake:
    """What the lake has seen of the list, with all that was written before an entry was on it."""

    def __init__(self, lake: str, store: CaseworkStore) -> None:
        self._lake, self._store = lake, store
        self._in_force = WatchListInForce(store)

    def seen(self, days: int, entry: str | None, limit: int) -> WatchListSeen:
        """The newest deeds of the list, or of one entry whether it is on the list or not.

        Raises as `WatchListTable`.
        """
        since = datetime.now(UTC) - timedelta(days=days)
        self._in_force.refresh()
        rows = self._in_force.rows.select(["entry", "kind", "name", "severity"]).to_pylist()
        listed = {row["entry"]: row for row in rows if entry in (None, row["entry"])}
        if entry is not None:
            listed.setdefault(entry, {"name": None, "severity": None, "kind": None})
        elif not listed:
            return {"seen": [], "since": since, "more": False}
        moved, cut = self._movements(since, entry, list(listed), limit)
        found, cut_too = self._transactions(since, listed, limit)
        deeds = sorted(moved + found, key=lambda deed: deed["event_time"], reverse=True)
        seen: list[EntrySeen] = [
            {
                "entry": deed["entry"],
                "name": listed[deed["entry"]]["name"],
                "severity": listed[deed["entry"]]["severity"],
                "what": deed["what"],
                "value": deed["value"],
                "transaction_hash": deed["hash"],
                "event_time": deed["event_time"],
            }
            for deed in deeds[:limit]
            if deed["entry"] in listed
        ]
        return {"seen": seen, "since": since, "more": cut or cut_too or len(deeds) > limit}

    def _movements(
        self, since: datetime, entry: str | None, listed: list[str], limit: int
    ) -> tuple[list[dict[str, Any]], bool]:
        tables = self._tables("movements", watch_list=entry is None and len(listed) > _FEW_ENTRIES)
        if tables is None:
            return [], False
        among = _IN_FORCE if TABLE in tables else sql_list(listed)
        most = limit * _ROWS_PER_DEED
        sql = f"""SELECT address AS entry, hash, spent, "position", value, event_time
            FROM movements WHERE {_since(since)} AND address IN {among}
            ORDER BY event_time DESC, hash LIMIT {most}"""
        rows = query(sql, **tables).to_pylist()
        cut = len(rows) == most
        last = rows[-1]["hash"] if cut else None
        if cut and rows[0]["hash"] != last:
            rows = [row for row in rows if row["hash"] != last]  # it may be there in part
        return _deeds(rows), cut

    def _transactions(
        self, since: datetime, listed: dict[str, dict[str, Any]], limit: int
    ) -> tuple[list[dict[str, Any]], bool]:
        hashes = [
            entry
            for entry, row in listed.items()
            if row["kind"] == "transaction" or (row["kind"] is None and len(entry) == 64)
        ]
        tables = self._tables("raw_transactions", watch_list=len(hashes) > _FEW_ENTRIES)
        if tables is None or not hashes:
            return [], False
        among = _IN_FORCE if TABLE in tables else sql_list(hashes)
        sql = f"""SELECT hash AS entry, hash, 'seen' AS what, output_value AS value, event_time
            FROM raw_transactions WHERE {_since(since)} AND hash IN {among}
            ORDER BY event_time DESC LIMIT {limit + 1}"""
        rows = query(sql, **tables).to_pylist()
        return rows, len(rows) > limit

    def _tables(self, name: str, watch_list: bool) -> dict[str, DeltaTable] | None:
        table = open_table(self._lake, name, self._store.origin)
        if table is None:
            return None
        beside = self._store.table(TABLE) if watch_list else None
        return {name: table} | ({TABLE: beside} if beside is not None else {})


def _since(since: datetime) -> str:
    """The rows from an event time on, with the date partitions that can have them."""
    day = (since - EVENT_AFTER).date()
    return f"date >= DATE '{day}' AND event_time >= {sql_time(since)}"


def _deeds(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sum what an entry paid or was paid in a transaction; of two equal rows one counts."""
    deeds: dict[tuple[str, str, bool], dict[str, Any]] = {}
    once = {(row["hash"], row["spent"], row["position"]): row for row in rows}
    for row in once.values():
        what = "paid" if row["spent"] else "was paid"
        new = {"entry": row["entry"], "hash": row["hash"], "what": what, "value": 0}
        key = (row["entry"], row["hash"], row["spent"])
        deed = deeds.setdefault(key, new | {"event_time": row["event_time"]})
        deed["value"] += row["value"]
    return list(deeds.values())
