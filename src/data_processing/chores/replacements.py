"""Keeps `replacements`: pairs of transactions that spend the same outpoint.

The last spenders of the newest two million outpoints are kept in memory as sorted arrays, in the
order of their arrival, 48 bytes an outpoint: about 32 hours of mainnet in 96 MB. Their number and
not a clock decides which are forgotten. The memory is filled from `raw_transactions` at the start.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.lake import sql_time
from core.tables import REPLACEMENTS
from data_processing.lake_tables import LakeTables
from data_processing.micro_batch import MicroBatch
from monitoring.stream_metrics import StreamMetrics

_MOST_OUTPOINTS = 2_000_000
_RUN_OUTPOINTS = 100_000
_ROWS_AT_ONCE = 50_000
_MINUTE = timedelta(minutes=1)

Pair = tuple[str, str]
"""The two hashes of a replacement, in alphabetic order."""


class Minute(NamedTuple):
    """How many rows a minute has, and how many outpoints they spend at most."""

    at: datetime
    rows: int
    outpoints: int


class Replacements:
    """A chore: writes the replacements among new transactions, at most once every `seconds`."""

    name = "replacements"

    def __init__(
        self,
        tables: LakeTables,
        seconds: float,
        metrics: StreamMetrics,
        clock: Callable[[], float] = time.monotonic,
        most_outpoints: int = _MOST_OUTPOINTS,
    ) -> None:
        self._tables, self._seconds, self._metrics, self._clock = tables, seconds, metrics, clock
        self._spenders = LastSpenders(most_outpoints)
        self._unwritten = self._recover(most_outpoints)
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

    def _recover(self, most: int) -> list[dict[str, object]]:
        """Fill the memory from the table; return the replacements that a crash left unwritten."""
        periods = periods_to_replay(self._rows_by_minute(most), most)
        if not periods:
            return []
        replacements: list[dict[str, object]] = []
        for since, until in periods:
            for start in range(0, (rows := self._rows(since, until)).num_rows, _ROWS_AT_ONCE):
                replacements += self._spenders.add(rows.slice(start, _ROWS_AT_ONCE))
        sql = f"""SELECT "hash", replaced_hash FROM replacements
            WHERE append_time >= {sql_time(periods[0][0])}"""
        written = {pair_of(row) for row in self._tables.query(sql, "replacements").to_pylist()}
        return [row for row in replacements if pair_of(row) not in written]

    def _rows_by_minute(self, most: int) -> list[Minute]:
        """The minutes of the newest dates that have `most` rows together, oldest first."""
        first, rows = None, 0
        for day, count in sorted(self._tables.rows_by_date("raw_transactions").items())[::-1]:
            if rows >= most:
                break
            first, rows = day, rows + count
        if first is None:
            return []
        minutes = self._tables.query(
            "SELECT date_trunc('minute', append_time) AS at, COUNT(*) AS n, SUM(inputs_count) AS s "
            f"FROM raw_transactions WHERE date >= '{first}' GROUP BY 1 ORDER BY 1",
            "raw_transactions",
        ).to_pylist()
        return [Minute(row["at"], row["n"], row["s"]) for row in minutes]

    def _rows(self, since: datetime, until: datetime) -> pa.Table:
        """The rows of a period whose outpoints are recorded, in the order they were published."""
        return self._tables.query(
            "SELECT hash, fee, spent_outpoints, append_time FROM raw_transactions "
            f"WHERE date BETWEEN '{since.date()}' AND '{until.date()}' "
            f"AND append_time >= {sql_time(since)} AND append_time < {sql_time(until)} "
            'AND spent_outpoints IS NOT NULL ORDER BY append_time, "partition", "offset"',
            "raw_transactions",
        )


def periods_to_replay(minutes: list[Minute], most: int) -> list[tuple[datetime, datetime]]:
    """The periods (start, end) with the newest `most` outpoints, oldest first.

    A period has 50,000 rows or is one minute: a day at once would take a gigabyte.
    """
    outpoints, first = 0, len(minutes)
    while first and outpoints < most:
        first -= 1
        outpoints += minutes[first].outpoints
    periods: list[tuple[datetime, datetime]] = []
    rows = _ROWS_AT_ONCE
    for minute in minutes[first:]:
        end = minute.at + _MINUTE
        rows += minute.rows
        if rows > _ROWS_AT_ONCE:
            periods.append((minute.at, end))
            rows = minute.rows
        else:
            periods[-1] = (periods[-1][0], end)
    return periods


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
    """The last spenders of the outpoints that were spent last, at least `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._runs: list[Spends] = []  # in the order of their arrival

    def __len__(self) -> int:
        return sum(len(spends.keys) for spends in self._runs)

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
        while len(self) - len(self._runs[0].keys) >= self._most:
            del self._runs[0]


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
