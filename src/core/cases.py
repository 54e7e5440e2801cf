"""Reading the cases: a queue page by page, one case with its members, and what people did.

The tables are followed: each read takes in what was appended since the one before, so that a page
of the queue costs milliseconds however many cases there are.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from core.case_index import INDEX_SQL, CaseFilter, CaseIndex, CaseSummary, Place
from core.case_rows import CASE_MEMBERS, Handling, State, handling
from core.casework import CaseworkStore
from core.lake import query
from core.open_tables import OpenTable

SIDES = ("input_addresses", "output_addresses", "output_values", "spent_outpoints")
MEMBER_COLUMNS = tuple(name for name in CASE_MEMBERS.names if name not in {*SIDES, "merged_into"})
"""The columns of a member; who pays whom is left to the transaction's own page."""

MOST_MEMBERS = 500
"""Members of one case that are read at a time."""

MOST_EVENTS = 500
"""Events of one case that are read, the newest."""

_TABLES = ("case_members", "case_events")


class QueuePage(NamedTuple):
    """Some cases with the explanation that speaks for each, and how many there are of each state.

    `next_place` is where the next page begins, None at the end.
    """

    cases: list[CaseSummary]
    explanations: Mapping[int, str]
    counts: Mapping[State, int]
    next_place: Place | None


@dataclass
class _Read:
    """What a book has read: the ids and versions of the tables, and what was made of them.

    `events` has how many events of each case were read.
    """

    versions: dict[str, tuple[str, int]] = field(default_factory=dict)
    index: CaseIndex = field(default_factory=CaseIndex)
    events: dict[int, int] = field(default_factory=dict)


class CaseBook:
    """The cases of one casework store. May be used by several threads.

    Every method raises `DeltaError`, `OSError` and `OriginMismatchError` where the tables cannot
    be read; there may be none yet.
    """

    def __init__(self, store: CaseworkStore) -> None:
        self._lock, self._read = Lock(), _Read()
        self._tables = {name: OpenTable(store.root, name, store.origin) for name in _TABLES}

    def index(self) -> CaseIndex:
        """The index of what the tables have now."""
        with self._lock:
            try:
                self._follow()
            except BaseException:
                self._forget()  # half of what was new may be taken in
                raise
            return self._read.index

    def page(self, wanted: CaseFilter, after: Place | None, limit: int) -> QueuePage:
        """A page of the queue: at most `limit` cases after a place in it."""
        index = self.index()
        found = index.page(wanted, after, limit + 1)
        cases = found[:limit]
        next_place = cases[-1].place if len(found) > limit else None
        heads = self.explanations([case.head for case in cases])
        explanations = {case.number: heads.get(case.head, "") for case in cases}
        return QueuePage(cases, explanations, index.counts(wanted), next_place)

    def find(self, number: int) -> CaseSummary | None:
        """A case, or the one that it became part of; None for a number that there is not."""
        return self.index().find(number)

    def members(self, case: CaseSummary) -> list[dict[str, Any]]:
        """The newest members of a case as rows, the newest first.

        Those that joined after the case was read are left out: its figures do not count them.
        """
        columns = ", ".join(f'"{name}"' for name in MEMBER_COLUMNS)
        return self._rows(
            "case_members",
            f"SELECT {columns} FROM case_members WHERE number IN {_in((case.number, *case.merged))}"
            f" AND merged_into IS NULL AND sequence <= {case.sequence}"
            f" ORDER BY sequence DESC LIMIT {MOST_MEMBERS}",
        )

    def events(self, case: CaseSummary) -> list[dict[str, Any]]:
        """What people did with a case and with those that became part of it, the newest first."""
        return self._rows(
            "case_events",
            f"SELECT * FROM case_events WHERE number IN {_in((case.number, *case.merged))}"
            f" ORDER BY at DESC, id DESC LIMIT {MOST_EVENTS}",
        )

    def _follow(self) -> None:
        """Take in what is new; everything where another table is in the place of one."""
        tables, before = self._newest(), self._read.versions
        if any(
            name not in tables or _version(tables[name])[0] != before[name][0] for name in before
        ):
            self._forget()
            tables, before = self._newest(), {}
        read, versions = self._read, {name: _version(table) for name, table in tables.items()}
        if versions.get("case_members") != before.get("case_members"):
            sql = INDEX_SQL.format(after=read.index.sequence)
            rows = query(sql, case_members=tables["case_members"])
            read.index = read.index.with_rows(rows)
        if versions.get("case_events") != before.get("case_events"):
            read.index = read.index.with_handling(self._new_handling(tables["case_events"]))
        read.versions = versions

    def _newest(self) -> dict[str, DeltaTable]:
        """The newest version of the tables that there are."""
        opened = {name: table.newest() for name, table in self._tables.items()}
        return {name: table for name, table in opened.items() if table is not None}

    def _forget(self) -> None:
        self._read = _Read()
        for table in self._tables.values():
            table.close()

    def _new_handling(self, table: DeltaTable) -> dict[int, Handling]:
        """How the cases are handled that have an event since the last read.

        These are those that have more events now. Times do not tell it: several processes write
        them, each by its own clock, and one of those may have been wrong.
        """
        sql = "SELECT number, count(*) AS events FROM case_events GROUP BY number"
        counted = query(sql, case_events=table)
        numbers, events = (counted[name].to_pylist() for name in ("number", "events"))
        counts = dict(zip(numbers, events, strict=True))
        known, self._read.events = self._read.events, counts
        changed = [number for number, n in counts.items() if n != known.get(number)]
        if not changed:
            return {}
        columns = "id, number, at, author, action, label, assignee, through"
        sql = f"SELECT {columns} FROM case_events"
        if known:
            sql += f" WHERE number IN {_in(changed)}"
        by_number: dict[int, list[dict[str, Any]]] = {}
        for event in query(sql, case_events=table).to_pylist():
            by_number.setdefault(event["number"], []).append(event)
        return {number: handling(events) for number, events in by_number.items()}

    def explanations(self, sequences: Collection[int]) -> dict[int, str]:
        """The explanations of the members with these sequences, by sequence."""
        if not sequences:
            return {}
        sql = (
            "SELECT sequence, explanation FROM case_members"
            f" WHERE sequence BETWEEN {min(sequences)} AND {max(sequences)}"
            f" AND sequence IN {_in(sequences)}"
        )
        rows = self._rows("case_members", sql)
        return {row["sequence"]: row["explanation"] or "" for row in rows}

    def _rows(self, name: str, sql: str) -> list[dict[str, Any]]:
        try:
            return self._read_rows(name, sql)
        except (DeltaError, OSError):
            # Another table may be in its place, and then only opening it again helps.
            with self._lock:
                self._tables[name].close()
            return self._read_rows(name, sql)

    def _read_rows(self, name: str, sql: str) -> list[dict[str, Any]]:
        with self._lock:
            table = self._tables[name].newest()
        return [] if table is None else list(query(sql, **{name: table}).to_pylist())


def _version(table: DeltaTable) -> tuple[str, int]:
    """The id and the version of a table."""
    return str(table.metadata().id), table.version()


def _in(numbers: Collection[int]) -> str:
    return f"({', '.join(str(int(number)) for number in numbers)})"
