"""Remembers who spent each outpoint last, and so finds what a new transaction replaces.

The last spenders of the newest outpoints are kept as sorted arrays, in the order of their arrival,
48 bytes an outpoint: two million take 96 MB and are about 32 hours of mainnet. Their number and not
a clock decides which are forgotten.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MOST_OUTPOINTS = 2_000_000
_RUN_OUTPOINTS = 100_000

Replacement = dict[str, object]
"""One row of the table `replacements`."""

Pair = tuple[str, str]
"""The two hashes of a replacement, in alphabetic order."""


def replaced_fees(replacements: Iterable[Replacement]) -> dict[str, int]:
    """The fees in satoshi of what each transaction replaces, together, by its hash."""
    fees: Counter[str] = Counter()
    for replacement in replacements:
        fees[str(replacement["hash"])] += int(str(replacement["replaced_fee"]))
    return dict(fees)


def pair_of(replacement: Replacement) -> Pair:
    """The two hashes of a replacement, whichever came first."""
    first, second = sorted((str(replacement["hash"]), str(replacement["replaced_hash"])))
    return first, second


@dataclass(frozen=True)
class Spends:
    """Outpoints and their last spender: `keys` sorted and distinct, hashes as 32 bytes."""

    keys: NDArray[np.int64]
    hashes: NDArray[np.void]
    fees: NDArray[np.int64]

    def last_of_each(self) -> "Spends":
        """Sort by key, and of equal keys keep the last."""
        order = np.argsort(self.keys, kind="stable")
        keys = self.keys[order]
        last = order[np.append(keys[1:] != keys[:-1], np.full(min(1, len(keys)), True))]
        return self.where(last)

    def then(self, later: "Spends") -> "Spends":
        """Add later spends."""
        return Spends(
            np.concatenate([self.keys, later.keys]),
            np.concatenate([self.hashes, later.hashes]),
            np.concatenate([self.fees, later.fees]),
        ).last_of_each()

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Spends":
        """The spends that a mask or an array of indices selects."""
        return Spends(self.keys[chosen], self.hashes[chosen], self.fees[chosen])


class LastSpenders:
    """The last spenders of the outpoints that were spent last, at least `most` of them."""

    def __init__(self, most: int = MOST_OUTPOINTS) -> None:
        self.most = most
        self._runs: list[Spends] = []  # in the order of their arrival

    def __len__(self) -> int:
        return sum(len(spends.keys) for spends in self._runs)

    def add(self, rows: pa.Table) -> list[Replacement]:
        """Add transactions, and return the rows of `replacements` that they make.

        `rows` has `hash`, `fee`, `spent_outpoints` and `append_time`, in the order of publishing.
        Two transactions that share several outpoints are one replacement.
        """
        of_row, outpoints = _outpoints(rows)
        keys = np.fromiter(map(hash, outpoints), np.int64, len(outpoints))
        previous = self._spenders_of(keys)
        for at, i in _earlier(keys):
            spender = _row_at(rows, of_row[i])
            previous[at] = (spender["hash"], spender["fee"])
        replacements: dict[Pair, Replacement] = {}
        for at, (replaced, replaced_fee) in sorted(previous.items()):
            row = _row_at(rows, of_row[at])
            if replaced != row["hash"]:
                replacement = row | {
                    "outpoint": outpoints[at],
                    "replaced_hash": replaced,
                    "replaced_fee": replaced_fee,
                    "fee_change": row["fee"] - replaced_fee,
                    "date": row["append_time"].date(),
                }
                replacements.setdefault(pair_of(replacement), replacement)
        self._remember(rows, keys, of_row)
        return list(replacements.values())

    def _spenders_of(self, keys: NDArray[np.int64]) -> dict[int, tuple[str, int]]:
        """Hash and fee of the last spender in memory, by index in `keys`."""
        spenders: dict[int, tuple[str, int]] = {}
        for spends in self._runs:
            at = np.searchsorted(spends.keys, keys)
            at[at == len(spends.keys)] = 0
            for index in np.flatnonzero(spends.keys[at] == keys).tolist():
                spend = at[index]
                spenders[index] = (bytes(spends.hashes[spend]).hex(), int(spends.fees[spend]))
        return spenders

    def _remember(self, rows: pa.Table, keys: NDArray[np.int64], of_row: NDArray[np.int64]) -> None:
        if not len(of_row):
            return
        hashes = _bytes_of(rows["hash"]).view("V32")[of_row]
        fees = np.asarray(rows["fee"].to_numpy(), np.int64)[of_row]
        new = Spends(keys, hashes, fees)
        if self._runs and len(self._runs[-1].keys) < _RUN_OUTPOINTS:
            new = self._runs.pop().then(new)
        self._runs.append(new.last_of_each())
        while len(self) - len(self._runs[0].keys) >= self.most:
            del self._runs[0]


def _row_at(rows: pa.Table, index: np.int64) -> dict[str, Any]:
    """One row, of which few are asked for: to make Python's objects of all takes far longer."""
    return {name: rows[name][int(index)].as_py() for name in ("hash", "fee", "append_time")}


def _bytes_of(texts: pa.ChunkedArray) -> NDArray[np.uint8]:
    """The bytes of all texts of hex digits, concatenated."""
    return np.frombuffer(bytes.fromhex("".join(texts.to_pylist())), np.uint8)


def _outpoints(rows: pa.Table) -> tuple[NDArray[np.int64], list[str]]:
    """All spent outpoints, and for each the index of its row."""
    spent = rows["spent_outpoints"].combine_chunks()
    of_row = np.asarray(pc.list_parent_indices(spent), np.int64)
    return of_row, pc.list_flatten(spent).to_pylist()


def _earlier(keys: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """The index of each key that occurred before, with the index of its previous occurrence."""
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    return zip(order[again + 1].tolist(), order[again].tolist(), strict=True)
