"""Mutes: shapes that somebody knows, and wants to hear nothing of until a date.

A mute changes no verdict. What it matches is flagged, stored and counted as before; it is only not
announced as news, and the dashboard's table leaves it out until a reader asks for it.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, NamedTuple

from deltalake.exceptions import DeltaError

from core.casework import CaseworkStore
from core.detector.verdict import row_patterns
from core.lake import OriginMismatchError
from core.transaction_details import Ask, Row, rows_by_hash

log = logging.getLogger(__name__)

LONGEST_MUTE = timedelta(days=366)
"""Nobody remembers for longer what was muted and why."""

MOST_MUTES = 500
"""Mutes in force at one time; each flagged transaction is compared with all of them."""

RANGES = ("fee_rate", "output_value", "outputs_count")
"""The columns that a mute may bound, in sat/vB, satoshi, and outputs."""

RELOAD = timedelta(seconds=5)
"""How long a service goes on with the mutes that it has read."""

PAYERS = "input_addresses"
"""The column of who pays, in `raw_transactions` and in messages."""

_UNREADABLE = (DeltaError, OSError, OriginMismatchError)


class Mute(NamedTuple):
    """What is muted: everything that is given must hold, and at least one thing is.

    `address` is one that pays, `pattern` the name of one of the patterns of a transaction. Ranges
    include their bounds; None is no bound. `ended_at` is when somebody ended it early.
    """

    id: str
    author: str
    note: str
    created_at: datetime
    until: datetime
    address: str | None = None
    pattern: str | None = None
    fee_rate_min: float | None = None
    fee_rate_max: float | None = None
    output_value_min: int | None = None
    output_value_max: int | None = None
    outputs_count_min: int | None = None
    outputs_count_max: int | None = None
    ended_at: datetime | None = None

    def in_force(self, at: datetime) -> bool:
        """Whether it mutes at a time: from its creation to its end, which it needs nobody for."""
        return self.created_at <= at < self.end

    @property
    def end(self) -> datetime:
        """When it ends, or has ended."""
        return self.until if self.ended_at is None else min(self.until, self.ended_at)

    @property
    def bounds(self) -> dict[str, tuple[float | None, float | None]]:
        """The least and the most of each column that it bounds."""
        found = {n: (getattr(self, f"{n}_min"), getattr(self, f"{n}_max")) for n in RANGES}
        return {name: bounds for name, bounds in found.items() if bounds != (None, None)}

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether it mutes a flagged transaction.

        `row` is one of `scored_transactions`, or a message of the topic `bitcoin-anomalies`, with
        `input_addresses` where they are known: without them no mute of an address matches.
        """
        if self.address is not None and self.address not in (row.get(PAYERS) or ()):
            return False
        if self.pattern is not None and self.pattern not in row_patterns(row):
            return False
        return all(
            (least is None or row[name] >= least) and (most is None or row[name] <= most)
            for name, (least, most) in self.bounds.items()
        )


def muted_by(row: Mapping[str, Any], mutes: Iterable[Mute]) -> str | None:
    """The id of the first of `mutes` that matches a flagged transaction, None where none does."""
    return next((mute.id for mute in mutes if mute.matches(row)), None)


def in_force(mutes: Iterable[Mute], at: datetime) -> list[Mute]:
    """The mutes in force at a time, the oldest first."""
    return sorted((m for m in mutes if m.in_force(at)), key=lambda m: (m.created_at, m.id))


def addresses(mutes: Collection[Mute]) -> set[str]:
    """The addresses whose payments are muted: only for these one must know who pays."""
    return {mute.address for mute in mutes if mute.address is not None}


def note_mutes(rows: Sequence[Row], mutes: Collection[Mute], ask: Ask) -> None:
    """Set `muted_by` of flagged rows of `scored_transactions`, None where no mute matches.

    Only while an address is muted must one know who pays: `ask` then answers SQL on the table
    `raw_transactions`, for the rows that do not have `input_addresses`.
    """
    if addresses(mutes):
        _add_payers([row for row in rows if row.get(PAYERS) is None], ask)
    for row in rows:
        row["muted_by"] = muted_by(row, mutes)


def _add_payers(rows: Sequence[Row], ask: Ask) -> None:
    appended = {row["hash"]: row["append_time"] for row in rows}
    found = rows_by_hash(ask, "raw_transactions", f"hash, {PAYERS}", appended)
    payers = {row["hash"]: row[PAYERS] for row in found}
    for row in rows:
        row[PAYERS] = payers.get(row["hash"])


def read_mutes(store: CaseworkStore) -> list[Mute]:
    """Every mute as it is now, the newest first; raises as `store.query`."""
    columns = ", ".join(Mute._fields)
    sql = (
        f"SELECT {columns} FROM (SELECT *, row_number() OVER"
        " (PARTITION BY id ORDER BY ended_at IS NULL, written_at DESC) AS place FROM mutes)"
        " WHERE place = 1 ORDER BY created_at DESC, id"
    )
    table = store.query(sql, "mutes")
    return [] if table is None else [Mute(**row) for row in table.to_pylist()]


class MutesReader:
    """The mutes in force, read again every `RELOAD`; from any thread.

    While the table cannot be read, the mutes that were read last count: of what is muted nothing is
    lost, and a mute that is missing only makes noise.
    """

    def __init__(
        self, store: CaseworkStore, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store, self._clock = store, clock
        self._mutes: list[Mute] = []
        self._read_at = datetime.min.replace(tzinfo=UTC)
        self._failed = False
        self._lock = Lock()

    def in_force(self) -> list[Mute]:
        """The mutes that are in force now, the oldest first."""
        now = self._clock()
        with self._lock:
            if not timedelta(0) <= now - self._read_at < RELOAD:
                self._read_at = now
                self._read()
            return in_force(self._mutes, now)

    def _read(self) -> None:
        try:
            self._mutes = read_mutes(self._store)
            self._failed = False
        except _UNREADABLE as error:
            if not self._failed:
                log.warning("event=mutes_unreadable tables=%s reason=%s", self._store.root, error)
            self._failed = True
