"""Who spent which outpoint within the horizon: finds replacements as their rows come.

Kept as `known.py` keeps hashes: sorted arrays, one an hour of broker time, 48 bytes an outpoint. A
full day of mainnet, 1.5 million outpoints, takes 72 MB.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_processing.known import bytes_of, hours

Pair = tuple[str, str]
"""Two hashes that spend one outpoint, in alphabetic order."""


@dataclass(frozen=True)
class Spends:
    """Outpoints and their last spender: `keys` sorted and distinct, hashes as 32 bytes."""

    keys: NDArray[np.int64]
    hashes: NDArray[np.void]
    fees: NDArray[np.int64]

    def last_of_each(self) -> "Spends":
        """Sorted by key; of equal keys the last one given."""
        order = np.argsort(self.keys, kind="stable")
        keys = self.keys[order]
        last = order[np.append(keys[1:] != keys[:-1], np.full(min(1, len(keys)), True))]
        return Spends(self.keys[last], self.hashes[last], self.fees[last])

    def then(self, later: "Spends") -> "Spends":
        """These and later ones."""
        pairs = zip(
            (self.keys, self.hashes, self.fees),
            (later.keys, later.hashes, later.fees),
            strict=True,
        )
        return Spends(*(np.concatenate(pair) for pair in pairs)).last_of_each()

    def where(self, chosen: NDArray[np.bool_]) -> "Spends":
        """Only the chosen ones."""
        return Spends(self.keys[chosen], self.hashes[chosen], self.fees[chosen])


class KnownSpenders:
    """The last spender of each outpoint that was spent within the horizon."""

    def __init__(self, horizon_hours: int) -> None:
        self._horizon = horizon_hours
        self._by_hour: dict[int, Spends] = {}

    def __len__(self) -> int:
        return sum(len(spends.keys) for spends in self._by_hour.values())

    def replacements(self, rows: pa.Table) -> list[dict[str, object]]:
        """Remember rows, and return the rows of `replacements` that they make.

        `rows` has `hash`, `fee`, `spent_outpoints` and `append_time`, in the order they count in; a
        transaction that shares several outpoints with another is one replacement.
        """
        of_row, outpoints = _outpoints(rows)
        keys = np.fromiter(map(hash, outpoints), np.int64, len(outpoints))
        texts, fees, times = (rows[name].to_pylist() for name in ("hash", "fee", "append_time"))
        before = self._find(keys)
        before |= {at: (texts[of_row[i]], fees[of_row[i]]) for at, i in _earlier(keys)}
        pairs: dict[Pair, dict[str, object]] = {}
        for at, spender in sorted(before.items()):
            row = of_row[at]
            if spender[0] != texts[row]:
                made = _replacement(outpoints[at], texts[row], fees[row], *spender)
                made |= {"append_time": times[row], "date": times[row].date()}
                pairs.setdefault(pair_of(made), made)
        self._add(rows, keys, of_row)
        return list(pairs.values())

    def _find(self, keys: NDArray[np.int64]) -> dict[int, tuple[str, int]]:
        """The last spender of the outpoints that are known, by their place in `keys`."""
        found: dict[int, tuple[str, int]] = {}
        for _, spends in sorted(self._by_hour.items()):
            at = np.searchsorted(spends.keys, keys)
            at[at == len(spends.keys)] = 0
            for place in np.flatnonzero(spends.keys[at] == keys).tolist():
                known = at[place]
                found[place] = (bytes(spends.hashes[known]).hex(), int(spends.fees[known]))
        return found

    def _add(self, rows: pa.Table, keys: NDArray[np.int64], of_row: NDArray[np.int64]) -> None:
        if not len(of_row):
            return
        hashes = bytes_of(rows["hash"]).view("V32")[of_row]
        fees = np.asarray(rows["fee"].to_numpy(), np.int64)[of_row]
        spends, at = Spends(keys, hashes, fees), hours(rows["append_time"])[of_row]
        for hour in np.unique(at).tolist():
            new = spends.where(at == hour)
            old = self._by_hour.get(hour, new.where(np.zeros(len(new.keys), bool)))
            self._by_hour[hour] = old.then(new)
        oldest = max(self._by_hour) - self._horizon
        self._by_hour = {h: s for h, s in self._by_hour.items() if h >= oldest}


def pair_of(replacement: dict[str, object]) -> Pair:
    """The two hashes of a replacement, whichever came first."""
    first, second = sorted((str(replacement["hash"]), str(replacement["replaced_hash"])))
    return first, second


def _outpoints(rows: pa.Table) -> tuple[NDArray[np.int64], list[str]]:
    """Every outpoint that is spent, and its row."""
    spent = rows["spent_outpoints"].combine_chunks()
    of_row = np.asarray(pc.list_parent_indices(spent), np.int64)
    return of_row, pc.list_flatten(spent).to_pylist()


def _earlier(keys: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """The places of keys that came before, each with the last place before it."""
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    return zip(order[again + 1].tolist(), order[again].tolist(), strict=True)


def _replacement(
    outpoint: str, text: str, fee: int, replaced: str, replaced_fee: int
) -> dict[str, object]:
    return {
        "outpoint": outpoint,
        "hash": text,
        "replaced_hash": replaced,
        "fee": fee,
        "replaced_fee": replaced_fee,
        "fee_change": fee - replaced_fee,
    }
