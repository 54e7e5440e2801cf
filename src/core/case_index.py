"""Every case in a few columns: what a queue is filtered, ordered and counted by. Pure, no input.

An index is never changed: new rows of `case_members` make a new one. The columns are sums, least
and largest values, so rows may be added in any portions, and a hundred thousand cases take some
milliseconds.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.case_rows import NOT_HANDLED, STATES, Handling, State
from core.severity import SEVERITIES, Severity
from core.tables import TIMESTAMP

INDEX_SQL = """SELECT sequence, number, merged_into, joined_at, event_time, severity, patterns,
 CASE WHEN "first" THEN 1 ELSE 0 END AS size,
 CASE WHEN "first" THEN output_value ELSE 0 END AS value
 FROM case_members WHERE sequence > {after} ORDER BY sequence"""
"""The rows that an index is made of, for `CaseIndex.with_rows`."""

_HEAD = 2**48
"""`head` is the rank of a row times this, less its sequence: the largest is the first of the most
severe rows. A table has fewer rows."""

_AGGREGATES = {
    "size": (pa.int64(), "sum"),
    "value": (pa.int64(), "sum"),
    "head": (pa.int64(), "max"),
    "first_at": (TIMESTAMP, "min"),
    "last_at": (TIMESTAMP, "max"),
    "opened_at": (TIMESTAMP, "min"),
    "joined_at": (TIMESTAMP, "max"),
    "sequence": (pa.int64(), "max"),
}
_CASES = pa.schema([("number", pa.int64()), *((n, kind) for n, (kind, _) in _AGGREGATES.items())])
_PATTERNS = pa.schema([("number", pa.int64()), ("pattern", pa.string())])

INDEX_ROWS = pa.schema(
    [
        *((name, pa.int64()) for name in ("sequence", "number", "merged_into")),
        *((name, TIMESTAMP) for name in ("joined_at", "event_time")),
        ("severity", pa.string()),
        ("patterns", pa.list_(pa.string())),
        *((name, pa.int64()) for name in ("size", "value")),
    ]
)
"""The columns of `INDEX_SQL`, whatever variant of their types the query engine gives."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class CaseFilter:
    """Which cases are asked for; None asks for any.

    `severity` is the least one, `pattern` a pattern of any member, `since` the time since when
    something has joined, and `assignee` who works on it.
    """

    state: State | None = None
    severity: Severity | None = None
    pattern: str | None = None
    since: datetime | None = None
    assignee: str | None = None


class Place(NamedTuple):
    """The place of a case in the queue: the most severe first, then the newest."""

    rank: int
    number: int


class CaseSummary(NamedTuple):
    """One case as a row of the queue; `value` is the sum of the outputs in satoshi.

    `first_at` and `last_at` are the times of its first and last transaction, `opened_at` and
    `joined_at` those at which its first and newest member joined. `head` is the sequence of the
    member that speaks for it, `sequence` that of the newest.
    """

    number: int
    state: State
    reopened: bool
    severity: Severity
    size: int
    value: int
    first_at: datetime
    last_at: datetime
    opened_at: datetime
    joined_at: datetime
    head: int
    sequence: int
    patterns: tuple[str, ...]
    merged: tuple[int, ...]
    handling: Handling

    @property
    def place(self) -> Place:
        """Its place in the queue."""
        return Place(SEVERITIES.index(self.severity), self.number)


@dataclass(frozen=True)
class CaseIndex:
    """The cases by number, their patterns, what was merged, and what people did."""

    cases: pa.Table = field(default_factory=_CASES.empty_table)
    patterns: pa.Table = field(default_factory=_PATTERNS.empty_table)
    roots: Mapping[int, int] = field(default_factory=dict)
    handled: Mapping[int, Handling] = field(default_factory=dict)
    sequence: int = 0

    def with_rows(self, rows: pa.Table) -> "CaseIndex":
        """The index with further rows of `INDEX_SQL`; `sequence` is the newest of all.

        Only the cases that they change are summed: one row costs little among many cases.
        """
        if not len(rows):
            return self
        rows = rows.cast(INDEX_ROWS)
        merges = rows.filter(pc.is_valid(rows["merged_into"])).to_pylist()
        roots = {**self.roots, **{row["number"]: row["merged_into"] for row in merges}}
        members = rows.filter(pc.is_null(rows["merged_into"]))
        cases = pa.concat_tables([self.cases, _columns(members)])
        patterns = pa.concat_tables([self.patterns, _pairs(members)])
        cases, patterns = (_renumbered(table, roots) for table in (cases, patterns))
        changed = pa.array(
            {_root(number, roots) for number in rows["number"].to_pylist()}, pa.int64()
        )
        return replace(
            self,
            cases=_with_groups(cases, changed, _grouped).sort_by("number").combine_chunks(),
            patterns=_with_groups(patterns, changed, _distinct).combine_chunks(),
            roots=roots,
            sequence=max(self.sequence, pc.max(rows["sequence"]).as_py()),
        )

    def with_handling(self, handled: Mapping[int, Handling]) -> "CaseIndex":
        """The index where these cases are handled so."""
        return replace(self, handled={**self.handled, **handled}) if handled else self

    def root(self, number: int) -> int:
        """The case that a case is now a part of: itself, unless it was merged."""
        while number in self.roots:
            number = self.roots[number]
        return number

    def parts(self, number: int) -> list[int]:
        """The numbers that a case's rows have: its own, and those of the cases merged into it."""
        return [number, *sorted(n for n in self.roots if self.root(n) == number)]

    def page(self, wanted: CaseFilter, after: Place | None, limit: int) -> list[CaseSummary]:
        """The first cases of the queue after a place in it."""
        chosen = self._chosen(wanted)
        if after is not None:
            rank, number = self._ranks, self._numbers
            behind = (rank < after.rank) | ((rank == after.rank) & (number < after.number))
            chosen &= behind
        positions = np.flatnonzero(chosen)
        order = np.lexsort((-self._numbers[positions], -self._ranks[positions]))
        return self._summaries(positions[order[:limit]])

    def kept(self, numbers: Collection[int], wanted: CaseFilter) -> list[CaseSummary]:
        """Those of some cases that a filter lets through, in the order in which they are given."""
        chosen = self._chosen(wanted)
        asked = np.array(list(numbers), np.int64)
        positions = np.searchsorted(self._numbers, asked)
        there = positions < len(self._numbers)
        there[there] = self._numbers[positions[there]] == asked[there]
        there[there] = chosen[positions[there]]
        return self._summaries(positions[there])

    def find(self, number: int) -> CaseSummary | None:
        """A case, or the one that it became part of; None for a number that there is not."""
        position = int(np.searchsorted(self._numbers, root := self.root(number)))
        if position == len(self._numbers) or self._numbers[position] != root:
            return None
        return self._summaries(np.array([position]))[0]

    def counts(self, wanted: CaseFilter) -> dict[State, int]:
        """How many cases of each state a filter lets through; its own state is ignored."""
        chosen = self._chosen(replace(wanted, state=None))
        counts = np.bincount(self._states[chosen], minlength=len(STATES))
        return dict(zip(STATES, counts.tolist(), strict=True))

    def open_by_severity(self) -> dict[Severity, int]:
        """How many cases are not closed, by severity."""
        ranks = self._ranks[self._states != STATES.index("closed")]
        counts = np.bincount(ranks, minlength=len(SEVERITIES))
        return dict(zip(SEVERITIES, counts.tolist(), strict=True))

    @cached_property
    def _numbers(self) -> Numbers:
        numbers: Numbers = self.cases["number"].to_numpy()
        return numbers

    @cached_property
    def _ranks(self) -> Numbers:
        return _rank_of(self.cases["head"].to_numpy())

    @cached_property
    def _handling(self) -> tuple[NDArray[np.intp], Numbers, NDArray[np.bool_]]:
        """Of each case that was handled: its position, its closing's `through`, if it is touched.

        `through` is -1 without a closing.
        """
        numbers = np.fromiter(self.handled, np.int64, len(self.handled))
        positions = np.searchsorted(self._numbers, numbers)
        there = positions < len(self._numbers)
        there[there] = self._numbers[positions[there]] == numbers[there]
        done = [h for h, is_there in zip(self.handled.values(), there, strict=True) if is_there]
        through = [-1 if each.closed_through is None else each.closed_through for each in done]
        touched = [each.touched for each in done]
        return positions[there], np.array(through, np.int64), np.array(touched, np.bool_)

    @cached_property
    def _states(self) -> NDArray[np.int8]:
        """The state of each case, as its place in `STATES`; the same as `Handling.state`."""
        states = np.full(len(self._numbers), STATES.index("new"), np.int8)
        positions, through, touched = self._handling
        states[positions[touched]] = STATES.index("open")
        closed = self.cases["sequence"].to_numpy()[positions] <= through
        states[positions[closed]] = STATES.index("closed")
        return states

    def _chosen(self, wanted: CaseFilter) -> NDArray[np.bool_]:
        chosen = np.ones(len(self._numbers), np.bool_)
        if wanted.state is not None:
            chosen &= self._states == STATES.index(wanted.state)
        if wanted.severity is not None:
            chosen &= self._ranks >= SEVERITIES.index(wanted.severity)
        if wanted.since is not None:
            since = pa.scalar(wanted.since, TIMESTAMP)
            chosen &= pc.greater_equal(self.cases["joined_at"], since).to_numpy()
        if wanted.pattern is not None:
            has = self.patterns.filter(pc.equal(self.patterns["pattern"], wanted.pattern))
            chosen &= np.isin(self._numbers, has["number"].to_numpy())
        if wanted.assignee is not None:
            its = [n for n, done in self.handled.items() if done.owner == wanted.assignee]
            chosen &= np.isin(self._numbers, np.array(its, np.int64))
        return chosen

    def _summaries(self, positions: NDArray[np.intp]) -> list[CaseSummary]:
        rows = self.cases.take(pa.array(positions)).to_pylist()
        numbers = pa.array([row["number"] for row in rows], pa.int64())
        named = self.patterns.filter(pc.is_in(self.patterns["number"], numbers)).to_pylist()
        return [self._summary(row, named) for row in rows]

    def _summary(self, row: dict[str, Any], named: list[dict[str, Any]]) -> CaseSummary:
        number, head = row["number"], row.pop("head")
        rank = int(_rank_of(np.array([head]))[0])
        done, sequence = self.handled.get(number, NOT_HANDLED), row["sequence"]
        return CaseSummary(
            **row,
            state=done.state(sequence),
            reopened=done.is_reopened(sequence),
            severity=SEVERITIES[rank],
            head=rank * _HEAD - head,
            patterns=tuple(sorted(e["pattern"] for e in named if e["number"] == number)),
            merged=tuple(self.parts(number)[1:]),
            handling=done,
        )


def _rank_of(head: Numbers) -> Numbers:
    """The rank in a `head`, which is less than a sequence below the rank's multiple."""
    return -(-head // _HEAD)


def _columns(members: pa.Table) -> pa.Table:
    """The rows of members as rows of `CaseIndex.cases`, each a case of one."""
    ranks = pc.index_in(members["severity"], pa.array(SEVERITIES)).cast(pa.int64())
    head = pc.subtract(pc.multiply(pc.fill_null(ranks, 0), _HEAD), members["sequence"])
    columns = {
        "number": members["number"],
        "size": members["size"],
        "value": pc.fill_null(members["value"], 0),
        "head": head,
        "first_at": members["event_time"],
        "last_at": members["event_time"],
        "opened_at": members["joined_at"],
        "joined_at": members["joined_at"],
        "sequence": members["sequence"],
    }
    return pa.table(columns).cast(_CASES)


def _pairs(members: pa.Table) -> pa.Table:
    """Each member's case with each of its patterns."""
    lists = members["patterns"].combine_chunks()
    numbers = members["number"].combine_chunks().take(pc.list_parent_indices(lists))
    return pa.table([numbers, pc.list_flatten(lists)], schema=_PATTERNS)


def _with_groups(
    table: pa.Table, numbers: pa.Array, group: Callable[[pa.Table], pa.Table]
) -> pa.Table:
    """The table with the rows of these cases grouped; all others are as they were."""
    are = pc.is_in(table["number"], numbers)
    return pa.concat_tables([table.filter(pc.invert(are)), group(table.filter(are))])


def _grouped(cases: pa.Table) -> pa.Table:
    """One row for each case, of those that it has."""
    how = [(name, function) for name, (_, function) in _AGGREGATES.items()]
    grouped = cases.group_by("number").aggregate(how)
    names = {f"{name}_{function}": name for name, function in how}
    grouped = grouped.rename_columns([names.get(n, n) for n in grouped.column_names])
    return grouped.select(_CASES.names).cast(_CASES)


def _distinct(patterns: pa.Table) -> pa.Table:
    return patterns.group_by(_PATTERNS.names).aggregate([]).select(_PATTERNS.names)


def _renumbered(table: pa.Table, roots: Mapping[int, int]) -> pa.Table:
    """The table with the numbers of merged cases replaced by those that they are part of."""
    if not roots:
        return table
    numbers = table["number"].to_numpy().copy()
    merged = np.array(sorted(roots), np.int64)
    into = np.array([_root(number, roots) for number in merged.tolist()], np.int64)
    positions = np.searchsorted(merged, numbers)
    positions[positions == len(merged)] = 0
    is_merged = merged[positions] == numbers
    numbers[is_merged] = into[positions[is_merged]]
    return table.set_column(0, "number", pa.array(numbers))


def _root(number: int, roots: Mapping[int, int]) -> int:
    while number in roots:
        number = roots[number]
    return number
