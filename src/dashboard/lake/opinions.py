"""What people think, beside the recent rows: their marks, and what their mutes leave out.

A mute in force leaves flagged rows out of the table, whenever they were flagged; once it has ended
they are in it again. Who pays is known for the flagged rows in memory alone: a mute of an address
leaves out none of older ones.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.casework import CaseworkStore
from core.lake import sql_list
from core.marks import MarkRow, read_marks
from core.mutes import Mute, MutesReader, addresses, muted_by
from dashboard.lake.rows import Rows, from_micros, pattern_bits
from dashboard.lake.sources import LAKE_ERRORS, Lake, days_around

log = logging.getLogger(__name__)

HASHES_AT_ONCE = 1_000
"""Rows whose payers are read by one query."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Muting:
    """The mutes in force, and by each muted address the hashes that it pays, 64 digits each."""

    mutes: tuple[Mute, ...] = ()
    paid_by: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def mask(self, rows: Rows, flagged: Mask) -> Mask:
        """Which of the flagged rows a mute in force matches."""
        muted = np.zeros(len(rows), bool)
        if self.mutes and flagged.any():
            some = rows.take(flagged)
            muted[flagged] = np.logical_or.reduce([self._matches(m, some) for m in self.mutes])
        return muted

    def _matches(self, mute: Mute, rows: Rows) -> Mask:
        matches = np.ones(len(rows), bool)
        if mute.pattern is not None:
            matches &= (rows["patterns"] & pattern_bits([mute.pattern])) != 0
        for column, (least, most) in mute.bounds.items():
            if least is not None:
                matches &= rows[column] >= least
            if most is not None:
                matches &= rows[column] <= most
        if mute.address is not None:
            paid = "".join(sorted(self.paid_by.get(mute.address, ())))
            matches &= np.isin(rows.hash, np.frombuffer(bytes.fromhex(paid), "V32"))
        return matches

    @property
    def condition(self) -> str:
        """Flagged rows that a mute in force matches, in SQL; empty without a mute."""
        return " OR ".join(f"({self._in_sql(mute)})" for mute in self.mutes)

    @property
    def name_in_sql(self) -> str:
        """The id of the first mute that matches a row, in SQL; null where none does."""
        cases = "".join(f" WHEN {self._in_sql(mute)} THEN '{mute.id}'" for mute in self.mutes)
        return f"CASE{cases} END" if cases else "CAST(NULL AS STRING)"

    def _in_sql(self, mute: Mute) -> str:
        conditions = []
        if mute.pattern is not None:
            name = f"'{mute.pattern}'"
            conditions.append(f"coalesce(array_has(patterns, {name}), pattern = {name}, FALSE)")
        for column, (least, most) in mute.bounds.items():
            bounds = {">=": least, "<=": most}
            conditions += [f"{column} {sign} {b!r}" for sign, b in bounds.items() if b is not None]
        if mute.address is not None:
            paid = self.paid_by.get(mute.address)
            conditions.append(f"hash IN {sql_list(paid)}" if paid else "FALSE")
        return " AND ".join(conditions)

    def muted_by(self, row: Mapping[str, Any]) -> str | None:
        """The mute in force that matches a flagged row of `scored_transactions`, by its id."""
        payers = [each for each, paid in self.paid_by.items() if row["hash"] in paid]
        return muted_by({**row, "input_addresses": payers}, self.mutes)


@dataclass(frozen=True)
class Opinions:
    """The marks that count, newest first, and the mutes in force."""

    marks: tuple[MarkRow, ...] = ()
    muting: Muting = field(default_factory=Muting)

    @property
    def mark_of(self) -> dict[str, str]:
        """The mark of each transaction."""
        return {row["hash"]: row["mark"] for row in self.marks}


class OpinionsReader:
    """Follows the tables of marks and mutes; used by one thread."""

    def __init__(self, store: CaseworkStore, mutes: MutesReader) -> None:
        self._store, self._mutes = store, mutes
        self._marks: tuple[MarkRow, ...] = ()
        self._version = -1
        self._payers: dict[str, tuple[str, ...]] = {}

    def read(self, rows: Rows, lake: Lake) -> Opinions:
        """What people think now; what cannot be read just now stays as it was read before."""
        try:
            self._read_marks()
        except LAKE_ERRORS as error:
            log.warning("event=marks_unreadable tables=%s reason=%s", self._store.root, error)
        mutes = tuple(self._mutes.in_force())
        wanted = addresses(mutes)
        if wanted:
            self._read_payers(rows.take(rows["by_model"] | rows["by_rule"]), lake)
        paid_by = {
            address: frozenset(h for h, payers in self._payers.items() if address in payers)
            for address in wanted
        }
        return Opinions(self._marks, Muting(mutes, paid_by))

    def _read_marks(self) -> None:
        table = self._store.table("marks")
        version = -1 if table is None else table.version()
        if version != self._version:
            self._marks = tuple(read_marks(self._store))
            self._version = version

    def _read_payers(self, flagged: Rows, lake: Lake) -> None:
        """Who pays each flagged row; those of rows that have left the memory are forgotten."""
        hashes = flagged.hashes()
        known = {hash: self._payers[hash] for hash in hashes if hash in self._payers}
        missing = np.array([hash not in known for hash in hashes], bool)
        self._payers = known
        if not missing.any():
            return
        times = flagged["time"][missing]
        span = from_micros(int(times.min())), from_micros(int(times.max()))
        new = (hash for hash, absent in zip(hashes, missing, strict=True) if absent)
        while some := list(islice(new, HASHES_AT_ONCE)):
            found = dict(payers(lake, some, *span))
            self._payers |= {hash: found.get(hash, ()) for hash in some}


def payers(
    lake: Lake, hashes: Sequence[str], first: datetime, last: datetime
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Who pays transactions seen between two times, each address once; raises `LAKE_ERRORS`.

    Nothing of those whose inputs are not known.
    """
    table = lake.query(
        "raw_transactions",
        "SELECT hash, input_addresses FROM raw_transactions"
        f" WHERE {days_around(first, last)} AND hash IN {sql_list(hashes)}",
    )
    for row in [] if table is None else table.to_pylist():
        if row["input_addresses"]:
            yield row["hash"], tuple(dict.fromkeys(filter(None, row["input_addresses"])))
