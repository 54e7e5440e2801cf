"""Building cases: a read of the topic becomes rows of `case_members`, committed with its position.

Nothing is kept but the table. The memory of what was linked is read from it at the start and after
every failure, and so are the positions: whatever step a crash comes between, the next start sees a
read either as committed as a whole or not at all.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pyarrow as pa

from casework.anomaly_topic import Records
from casework.case_update import CaseUpdate, Listener
from casework.flags import flag_row, message_of
from casework.linking import MOST_MEMBERS, Linker, trace
from core.case_index import CaseIndex
from core.case_rows import CASE_MEMBERS
from core.cases import CaseBook
from core.casework import CaseworkStore
from core.lake import sql_list
from monitoring.casework_metrics import CaseworkMetrics

log = logging.getLogger(__name__)

TABLE = "case_members"
_LINKING_COLUMNS = (
    *("sequence", "number", "merged_into", "key", "hash", "event_time", "pattern", "patterns"),
    *("outputs_count", "output_value"),
    *("input_addresses", "output_addresses", "output_values", "spent_outpoints"),
)
_COUNT_SECONDS = 15.0
"""How often the open cases are counted."""

_COLUMNS = dict.fromkeys(CASE_MEMBERS.names)
_Row = dict[str, Any]
_Flag = tuple[_Row, Mapping[str, Any]]


class Topic(Protocol):
    """Where the messages come from; `AnomalyTopic` is one."""

    def open(self, position: Callable[[str], int | None]) -> None:
        """Go to the positions that were committed."""

    def read(self, wait_seconds: float) -> list[Records]:
        """What has come, waiting for it so long."""
        ...

    def lag(self) -> int:
        """How many records are not read."""
        ...


@dataclass
class Joined:
    """The rows of one read, and the messages that they are of, by the case they joined."""

    rows: list[_Row]
    messages: dict[int, list[Mapping[str, Any]]]
    merged: dict[int, list[int]]


class CaseBuilder:
    """Makes cases of what is on the topic, exactly once, and calls the listeners about each commit.

    `now` gives the time in UTC. Used by one thread.
    """

    def __init__(
        self,
        store: CaseworkStore,
        topic: Topic,
        metrics: CaseworkMetrics,
        listeners: Sequence[Listener] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._topic, self._metrics = store, topic, metrics
        self._listeners, self._now, self._clock = listeners, now, clock
        self._book = CaseBook(store)
        self._linker: Linker | None = None
        self._sequence = self._number = 0
        self._keys: dict[str, None] = {}  # in order, the oldest first
        self._keys_are_all = True
        self._count_again = 0.0

    def turn(self, wait_seconds: float = 1.0) -> None:
        """Read the topic once and commit what came; whatever fails is read again by the next turn.

        Raises what reading the topic and writing the table raise.
        """
        try:
            if self._linker is None:
                self._linker = self._recover()
                self._topic.open(lambda name: self._store.position(TABLE, name))
            for records in self._topic.read(wait_seconds):
                self._build(records, self._linker)
            self._metrics.lag.set(self._topic.lag())
            self._count()
        except BaseException:
            self._linker = None  # it may know members that were not committed
            raise

    def _recover(self) -> Linker:
        """The memory of the newest members, and the last numbers, from the table."""
        linker, self._keys = Linker(), {}
        last = self._query(
            "SELECT MAX(number) AS number, MAX(sequence) AS sequence FROM case_members"
        )
        self._number, self._sequence = (
            last[0][name] or 0 if last else 0 for name in ("number", "sequence")
        )
        columns = ", ".join(_LINKING_COLUMNS)
        after = self._sequence - MOST_MEMBERS
        self._keys_are_all = after <= 0
        for row in self._query(
            f"SELECT {columns} FROM case_members WHERE sequence > {after}"
            " OR merged_into IS NOT NULL ORDER BY sequence"
        ):
            linker.replay(row)
            if row["key"] is not None:
                self._remember(row["key"])
        return linker

    def _build(self, records: Records, linker: Linker) -> None:
        """Commit what one read of a partition adds, with the position behind it; tell of it."""
        found = [(message_of(r.value), r.appended_at) for r in records.records]
        messages = [(m, at) for m, at in found if m is not None]
        flags = [(flag_row(m, at), m) for m, at in messages if not m.get("muted_by")]
        fresh, older = self._without_repeats(flags)
        at = self._now()
        before = self._book.index()
        joined = self._join(fresh, older, linker, at)
        if joined.rows:
            table = pa.Table.from_pylist(joined.rows, CASE_MEMBERS)
            with self._metrics.commit_seconds.time():
                self._store.append(TABLE, table, (records.application, records.position))
        counts = {
            "joined": len(fresh),
            "repeated": len(flags) - len(fresh),
            "muted": len(messages) - len(flags),
            "unreadable": len(found) - len(messages),
        }
        for result, count in counts.items():
            self._metrics.messages.labels(result).inc(count)
        self._metrics.merges.inc(sum(map(len, joined.merged.values())))
        if joined.rows:
            self._tell(updates(joined, before, self._book.index(), at))

    def _without_repeats(self, flags: Iterable[_Flag]) -> tuple[list[_Flag], dict[str, int]]:
        """The first flag of each key that no row has yet; and where their transactions are.

        The table is asked where the memory does not have all of its rows: for the keys, and for the
        cases of transactions of which another message came before.
        """
        fresh: dict[str, _Flag] = {}
        for flag in flags:
            if flag[0]["key"] not in self._keys:
                fresh.setdefault(flag[0]["key"], flag)
        older: dict[str, int] = {}
        if fresh and not self._keys_are_all:
            hashes = sql_list({row["hash"] for row, _ in fresh.values()})
            for row in self._query(
                f"SELECT key, hash, number FROM case_members WHERE hash IN {hashes}"
            ):
                fresh.pop(row["key"], None)
                older[row["hash"]] = row["number"]
        return list(fresh.values()), older

    def _join(
        self, flags: Iterable[_Flag], older: Mapping[str, int], linker: Linker, at: datetime
    ) -> Joined:
        """The rows that make each flag a member of a case, in order."""
        joined = Joined([], {}, {})
        for row, message in flags:
            traced = trace(row)
            links = linker.links(traced)
            if row["hash"] in older and "same" not in links.why:
                links = links.also(linker.root(older[row["hash"]]), "same", row["hash"])
            number, *younger = links.numbers or (self._number + 1,)
            self._number = max(self._number, number)
            for other in younger:
                linker.merge(other, number)
                joined.rows.append(self._row(at, other) | {"merged_into": number})
                joined.messages.setdefault(number, []).extend(joined.messages.pop(other, ()))
                gone = [other, *joined.merged.pop(other, ())]
                joined.merged.setdefault(number, []).extend(gone)
            linker.add(traced, number)
            self._remember(row["key"])
            joined.messages.setdefault(number, []).append(message)
            reason = {"why": list(links.why or ("first",)), "linked_to": links.hash}
            is_first = {"first": "same" not in links.why}
            joined.rows.append(self._row(at, number) | row | reason | is_first)
        return joined

    def _remember(self, key: str) -> None:
        self._keys[key] = None
        if len(self._keys) > MOST_MEMBERS:
            del self._keys[next(iter(self._keys))]
            self._keys_are_all = False

    def _row(self, at: datetime, number: int) -> _Row:
        self._sequence += 1
        return _COLUMNS | {"sequence": self._sequence, "number": number, "joined_at": at}

    def _tell(self, told: Iterable[CaseUpdate]) -> None:
        for update in told:
            log.info(
                "event=case_%s number=%d size=%d severity=%s joined=%d",
                "opened" if update.new else "reopened" if update.reopened else "grew",
                *(update.number, update.size, update.severity, len(update.joined)),
            )
            for listener in self._listeners:
                try:
                    listener(update)
                except Exception:  # whatever it is, the rows are committed and the next may work
                    log.exception("event=listener_failed case=%d", update.number)
                    self._metrics.listener_failures.inc()

    def _count(self) -> None:
        """Count the open cases now and then: also people's work changes their number."""
        if self._clock() < self._count_again:
            return
        self._count_again = self._clock() + _COUNT_SECONDS
        index = self._book.index()
        for name, count in index.open_by_severity().items():
            self._metrics.open_cases.labels(name).set(count)
        self._metrics.members.set(self._sequence)

    def _query(self, sql: str) -> list[_Row]:
        found = self._store.query(sql, TABLE)
        return [] if found is None else list(found.to_pylist())


def updates(
    joined: Joined, before: CaseIndex, after: CaseIndex, at: datetime
) -> Iterable[CaseUpdate]:
    """What one commit changed about each case, by the index before it and after it."""
    for number, messages in joined.messages.items():
        was, case = before.find(number), after.find(number)
        assert case is not None, "committed before"
        yield CaseUpdate(
            number=number,
            new=was is None,
            reopened=was is not None and was.state == "closed" and case.state != "closed",
            severity=case.severity,
            previous_severity=None if was is None else was.severity,
            size=case.size,
            joined=tuple(messages),
            at=at,
            merged=tuple(joined.merged.get(number, ())),
            sequence=case.sequence,
        )
