"""Finds the new transactions that touch the watch list, whatever their score.

The list is a table that the API writes. A loop looks for changes of it every five seconds, so that
a change holds within half a minute; a list that cannot be read leaves the one before in force.

The rows of `watched` are written before those of `raw_transactions`: after a crash between the two,
the records are read and matched again, and what `watched` has already is recognised by its hash.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.background import BackgroundLoop
from core.lake import sql_time
from core.severity import highest, rank
from core.tables import WATCHED
from core.transaction import NUMERIC_FIELDS
from core.watch_list import WatchListInForce
from data_processing.lake_tables import LakeTables
from data_processing.last_spenders import Replacement

POLL_SECONDS = 5.0
MOST_MATCHES = 100
"""Matches kept of one transaction, the most severe: its message stays below a megabyte."""

_REMEMBERED = 100_000
_MEMPOOL_EXPIRY = timedelta(days=14)
_PAID, _WAS_PAID, _SEEN = "paid", "was paid", "seen"
_REPLACES, _REPLACED = "replaced", "is replaced"
"""What a watched thing did: an address or script in inputs or outputs, and a transaction that is
there. `replaced`: it spends again what it had spent. `is replaced`: what it did is replaced."""

_COPIED = ("hash", *NUMERIC_FIELDS, "event_time", "append_time")


class Deed(NamedTuple):
    """What an entry did in a transaction, with the value in satoshi; None without one."""

    entry: str
    what: str
    value: int | None


class WatchIndex:
    """The entries of a list, prepared to be looked up."""

    def __init__(self, rows: pa.Table) -> None:
        columns = ("entry", "name", "severity", "reason")
        self.entries = {row["entry"]: row for row in rows.select(columns).to_pylist()}
        self._set = pa.array(list(self.entries), pa.string())

    def __len__(self) -> int:
        return len(self.entries)

    def are_on_it(self, texts: pa.Array) -> NDArray[np.bool_]:
        """Which texts are entries; shape (n,)."""
        return np.asarray(pc.is_in(texts, self._set).to_numpy(zero_copy_only=False), bool)


class WatchMatching:
    """Matches micro-batches against the list in force, and writes `watched`.

    `read_at` is when the list was last found to be the newest, in Unix seconds; 0 before that.
    """

    def __init__(self, tables: LakeTables, in_force: WatchListInForce) -> None:
        self._tables, self._in_force = tables, in_force
        self._index = WatchIndex(in_force.rows)
        self._done: OrderedDict[str, list[Deed]] = OrderedDict()
        self._recall()
        self.read_at = 0.0
        self.loop = BackgroundLoop("watch_list", self.follow, POLL_SECONDS)

    def __len__(self) -> int:
        """The number of entries in force."""
        return len(self._index)

    def follow(self) -> None:
        """Take over the list if it has changed; raises as `WatchListInForce.refresh`."""
        if self._in_force.refresh():
            self._index = WatchIndex(self._in_force.rows)
        self.read_at = time.time()

    def write(
        self, new: pa.Table, replacements: Sequence[Replacement], matched_at: datetime
    ) -> int:
        """Write the rows of `watched` of new transactions, in one commit; return their number.

        `new` has the columns `transforms.RECEIPT_COLUMNS`.
        """
        index = self._index  # another may be in force a moment later
        rows = [
            _row(receipt, deeds, index, replacements, matched_at)
            for receipt, deeds in matches(new, index, replacements, self._done)
            if receipt["hash"] not in self._done
        ]
        if not rows:
            return 0
        self._tables.append_arrow("watched", pa.Table.from_pylist(rows, schema=WATCHED))
        self._remember(rows)
        return len(rows)

    def _recall(self) -> None:
        """Fill the memory with what entries did in the newest rows of the table."""
        newest = self._tables.query("SELECT MAX(matched_at) AS at FROM watched", "watched")
        at = newest["at"][0].as_py()
        if at is not None:
            sql = f"""SELECT hash, watched FROM watched
                WHERE matched_at >= {sql_time(at - _MEMPOOL_EXPIRY)}
                ORDER BY matched_at DESC LIMIT {_REMEMBERED}"""
            self._remember(self._tables.query(sql, "watched").to_pylist()[::-1])

    def _remember(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            self._done[row["hash"]] = [
                Deed(match["entry"], match["what"], match["value"]) for match in row["watched"]
            ]
        while len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)


def matches(
    new: pa.Table,
    index: WatchIndex,
    replacements: Iterable[Replacement],
    done: Mapping[str, Sequence[Deed]],
) -> Iterator[tuple[dict[str, Any], list[Deed]]]:
    """The receipts that touch entries, each with what those did in it.

    `done` has what entries did in earlier transactions, which these may replace.
    """
    if not len(index) or not new.num_rows:
        return
    by_hash: dict[str, list[Replacement]] = {}
    for each in replacements:
        by_hash.setdefault(str(each["hash"]), []).append(each)
    hashes = new["hash"].combine_chunks()
    touched = index.are_on_it(hashes)
    for side in ("input", "output"):
        touched[_touching(new[f"{side}_addresses"].combine_chunks(), index)] = True
    if undone := {h for h, each in by_hash.items() if any(_undone(r, index, done) for r in each)}:
        touched |= np.asarray(pc.is_in(hashes, pa.array(sorted(undone))).to_numpy(False), bool)
    for receipt in new.filter(pa.array(touched)).to_pylist():
        yield receipt, _deeds(receipt, index, by_hash.get(receipt["hash"], []), done)


def _touching(lists: pa.ListArray, index: WatchIndex) -> NDArray[np.int64]:
    """The rows of which a list has an entry."""
    hits = index.are_on_it(pc.list_flatten(lists))
    return np.unique(np.asarray(pc.list_parent_indices(lists), np.int64)[hits])


def _undone(
    replacement: Replacement, index: WatchIndex, done: Mapping[str, Sequence[Deed]]
) -> list[Deed]:
    """What entries did in a transaction that is replaced."""
    hash = str(replacement["replaced_hash"])
    deeds = [deed for deed in done.get(hash, ()) if deed.entry in index.entries]
    return deeds or ([Deed(hash, _SEEN, None)] if hash in index.entries else [])


def _deeds(
    receipt: Mapping[str, Any],
    index: WatchIndex,
    replacements: Iterable[Replacement],
    done: Mapping[str, Sequence[Deed]],
) -> list[Deed]:
    """What each entry did in a transaction; an address's inputs or outputs are one deed."""
    sums: dict[tuple[str, str], int | None] = {}
    for what, side in ((_PAID, "input"), (_WAS_PAID, "output")):
        for entry, value in _owners(receipt, side):
            if entry in index.entries:
                sums[entry, what] = (sums.get((entry, what)) or 0) + value
    if receipt["hash"] in index.entries:
        sums[receipt["hash"], _SEEN] = receipt["output_value"]
    outpoints = receipt["spent_outpoints"] or []
    for replacement in replacements:
        if replacement["outpoint"] in outpoints:
            at = outpoints.index(replacement["outpoint"])
            entry, value = next(iter(list(_owners(receipt, "input"))[at : at + 1]), ("", 0))
            if entry in index.entries:
                sums[entry, _REPLACES] = value
        for deed in _undone(replacement, index, done):
            if (deed.entry, _REPLACES) not in sums:
                sums[deed.entry, _REPLACED] = deed.value
    return [Deed(entry, what, value) for (entry, what), value in sums.items()]


def _owners(receipt: Mapping[str, Any], side: str) -> Iterator[tuple[str, int]]:
    """The owner and the value of each input or output that is kept."""
    owners, values = receipt[f"{side}_addresses"] or [], receipt[f"{side}_values"] or []
    return zip(owners, [*values, *[0] * (len(owners) - len(values))], strict=False)


def _row(
    receipt: Mapping[str, Any],
    deeds: Iterable[Deed],
    index: WatchIndex,
    replacements: Iterable[Replacement],
    matched_at: datetime,
) -> dict[str, Any]:
    """The row of `watched` for a receipt, its most severe matches first."""
    watched = [
        index.entries[deed.entry] | {"what": deed.what, "value": deed.value} for deed in deeds
    ]
    watched.sort(key=lambda match: -rank(match["severity"]))
    hash = receipt["hash"]
    return {name: receipt[name] for name in _COPIED} | {
        "watched": watched[:MOST_MATCHES],
        "watched_count": len(watched),
        "watch_severity": highest(match["severity"] for match in watched),
        "replaces": sorted({str(r["replaced_hash"]) for r in replacements if r["hash"] == hash}),
        "matched_at": matched_at,
        "date": receipt["append_time"].date(),
    }
