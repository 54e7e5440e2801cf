"""Keeps `replacements`: pairs of transactions that spend the same outpoint.

The last spender of each outpoint within the horizon is kept in memory as sorted arrays, one for
each hour of broker time, 48 bytes an outpoint. A full day of mainnet, 1.5 million outpoints, takes
72 MB. The memory is filled from `raw_transactions` at the start.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.lake import sql_time
from core.tables import REPLACEMENTS
from data_processing.lake_tables import LakeTables
from data_processing.micro_batch import MicroBatch
from data_processing.seen_transactions import append_hours, bytes_of
from monitoring.stream_metrics import StreamMetrics

_ROWS_AT_ONCE = 50_000
_HOUR = timedelta(hours=1)

Pair = tuple[str, str]
"""The two hashes of a replacement, in alphabetic order."""


class Replacements:
    """A chore: writes the replacements among new transactions, at most once every `seconds`."""

    name = "replacements"

    def __init__(
        self,
        tables: LakeTables,
        horizon_hours: int,
        seconds: float,
        metrics: StreamMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tables, self._seconds, self._metrics, self._clock = tables, seconds, metrics, clock
        self._spenders = LastSpenders(horizon_hours)
        self._unwritten = self._recover(timedelta(hours=horizon_hours))
        self._not_before = 0.0

    def on_batch(self, batch: MicroBatch) -> None:
        """Find the replacements that the new transactions make."""
        self._unwritten += self._spenders.add(batch.new)
        self._metrics.known_outpoints.set(len(self._spenders))

    def due(self) -> bool:
        """Whether replacements are unwritten and the last write is long enough ago."""
        return bool(self._unwritten) and self._clock() >= self._not_before

    def run(self) -> None:
        """Write the replacements in one commit."""
        table = pa.Table.from_pylist(self._unwritten, schema=REPLACEMENTS)
        self._tables.append_arrow("replacements", table)
        self._metrics.rows.labels("replacements").inc(table.num_rows)
        self._unwritten = []
        self._not_before = self._clock() + self._seconds

    def _recover(self, horizon: timedelta) -> list[dict[str, object]]:
        """Fill the memory from the table; return the replacements that a crash left unwritten."""
        newest = self._tables.query(
            "SELECT MAX(append_time) AS at FROM raw_transactions", "raw_transactions"
        )["at"][0].as_py()
        if newest is None:
            return []
        replacements = self._replay(newest - horizon, newest)
        sql = f"""SELECT "hash", replaced_hash FROM replacements
            WHERE append_time >= {sql_time(newest - horizon)}"""
        written = {pair_of(row) for row in self._tables.query(sql, "replacements").to_pylist()}
        return [row for row in replacements if pair_of(row) not in written]

    def _replay(self, since: datetime, until: datetime) -> list[dict[str, object]]:
        """The replacements among the rows of a period, read by the hour: a day takes a gigabyte."""
        replacements: list[dict[str, object]] = []
        while since <= until:
            for start in range(0, (rows := self._rows_of_hour(since)).num_rows, _ROWS_AT_ONCE):
                replacements += self._spenders.add(rows.slice(start, _ROWS_AT_ONCE))
            since += _HOUR
        return replacements

    def _rows_of_hour(self, since: datetime) -> pa.Table:
        """The rows of one hour whose outpoints are recorded, in the order they were published."""
        return self._tables.query(
            "SELECT hash, fee, spent_outpoints, append_time FROM raw_transactions "
            f"WHERE date BETWEEN '{since.date()}' AND '{(since + _HOUR).date()}' "
            f"AND append_time >= {sql_time(since)} AND append_time < {sql_time(since + _HOUR)} "
            'AND spent_outpoints IS NOT NULL ORDER BY append_time, "partition", "offset"',
            "raw_transactions",
        )


def pair_of(replacement: dict[str, object]) -> Pair:
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
    """The last spender of each outpoint that was spent within the horizon."""

    def __init__(self, horizon_hours: int) -> None:
        self._horizon = horizon_hours
        self._by_hour: dict[int, Spends] = {}

    def __len__(self) -> int:
        return sum(len(spends.keys) for spends in self._by_hour.values())

    def add(self, rows: pa.Table) -> list[dict[str, object]]:
        """Add transactions, and return the rows of `replacements` that they make.

        `rows` has `hash`, `fee`, `spent_outpoints` and `append_time`, in the order of publishing.
        Two transactions that share several outpoints are one replacement.
        """
        of_row, outpoints = _outpoints(rows)
        keys = np.fromiter(map(hash, outpoints), np.int64, len(outpoints))
        hashes, fees, times = (rows[name].to_pylist() for name in ("hash", "fee", "append_time"))
        previous = self._spenders_of(keys)
        previous |= {at: (hashes[of_row[i]], fees[of_row[i]]) for at, i in _earlier(keys)}
        replacements: dict[Pair, dict[str, object]] = {}
        for at, (replaced, replaced_fee) in sorted(previous.items()):
            row = of_row[at]
            if replaced != hashes[row]:
                replacement = {
                    "outpoint": outpoints[at],
                    "hash": hashes[row],
                    "replaced_hash": replaced,
                    "fee": fees[row],
                    "replaced_fee": replaced_fee,
                    "fee_change": fees[row] - replaced_fee,
                    "append_time": times[row],
                    "date": times[row].date(),
                }
                replacements.setdefault(pair_of(replacement), replacement)
        self._remember(rows, keys, of_row)
        return list(replacements.values())

    def _spenders_of(self, keys: NDArray[np.int64]) -> dict[int, tuple[str, int]]:
        """Hash and fee of the last spender in memory, by index in `keys`."""
        spenders: dict[int, tuple[str, int]] = {}
        for _, spends in sorted(self._by_hour.items()):
            at = np.searchsorted(spends.keys, keys)
            at[at == len(spends.keys)] = 0
            for index in np.flatnonzero(spends.keys[at] == keys).tolist():
                spend = at[index]
                spenders[index] = (bytes(spends.hashes[spend]).hex(), int(spends.fees[spend]))
        return spenders

    def _remember(self, rows: pa.Table, keys: NDArray[np.int64], of_row: NDArray[np.int64]) -> None:
        if not len(of_row):
            return
        hashes = bytes_of(rows["hash"]).view("V32")[of_row]
        fees = np.asarray(rows["fee"].to_numpy(), np.int64)[of_row]
        spends, at = Spends(keys, hashes, fees), append_hours(rows["append_time"])[of_row]
        for hour in np.unique(at).tolist():
            new = spends.where(at == hour)
            old = self._by_hour.get(hour, new.where(np.zeros(len(new.keys), bool)))
            self._by_hour[hour] = old.then(new)
        oldest = max(self._by_hour) - self._horizon
        self._by_hour = {h: s for h, s in self._by_hour.items() if h >= oldest}


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
