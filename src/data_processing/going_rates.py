"""The table `market`, kept by the stream: the market of each minute in which records are appended.

A minute's market comes from the transactions that arrived before it, in the table or in the same
micro-batch. It is committed after `raw_transactions` and before `scored_transactions`: a crash in
between leaves rows whose market the next start computes from the same rows. Once written it never
changes, so a second look at a transaction judges it beside the same rate.
"""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.market import MOST_ROWS, Market, fee_rates_at, markets_of, minute_of
from core.tables import MARKET, TIMESTAMP
from core.transaction import COINBASE_SQL
from data_processing.lake_tables import LakeTables

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_REMEMBERED = 5_000
"""Minutes kept in memory: three days and a half. Rows of older ones come from the backlog."""

_PAYMENTS = f"SELECT append_time, fee, weight FROM raw_transactions WHERE NOT {COINBASE_SQL}"


class GoingRates:
    """Gives the market of each minute, and writes those that the table does not have yet."""

    def __init__(self, tables: LakeTables) -> None:
        self._tables = tables
        newest = f"{_PAYMENTS} ORDER BY append_time DESC LIMIT {MOST_ROWS}"
        self._times, self._rates = _payments(tables.query(newest, "raw_transactions"))
        order = np.argsort(self._times, kind="stable")
        self._times, self._rates = self._times[order], self._rates[order]
        written = f"SELECT minute, fee_rate FROM market ORDER BY minute DESC LIMIT {_REMEMBERED}"
        minutes, rates = _minutes(tables.query(written, "market"))
        self._written = dict(zip(minutes[::-1].tolist(), rates[::-1].tolist(), strict=True))

    @property
    def newest(self) -> float:
        """The newest going fee rate in sat/vB; 0 before there is one."""
        return self._written[max(self._written)] if self._written else 0.0

    def add(self, new: pa.Table) -> dict[int, float]:
        """Take the receipts of committed transactions, and return the rates of their minutes.

        The keys are microseconds. Minutes without a market get one, in one commit.
        """
        times = _micros(new["append_time"])
        minutes = np.unique(minute_of(times)).tolist()
        payments = new.filter(pc.is_valid(new["fee_rate"]))
        times = np.concatenate([self._times, _micros(payments["append_time"])])
        rates = np.concatenate([self._rates, payments["fee_rate"].to_numpy()])
        if missing := [minute for minute in minutes if minute not in self._written]:
            order = np.argsort(times, kind="stable")
            self._write(markets_of(times[order], rates[order], missing))
        # The newest to arrive, whatever their times: a clock that was ahead is soon forgotten.
        self._times, self._rates = times[-MOST_ROWS:], rates[-MOST_ROWS:]
        return {minute: self._written.get(minute, self.newest) for minute in minutes}

    def _write(self, markets: list[Market]) -> None:
        if not markets:
            return
        self._tables.append_arrow("market", _rows(markets))
        for market in markets:
            self._written[int(market.minute.timestamp()) * 1_000_000] = market.fee_rate
        while len(self._written) > _REMEMBERED:
            del self._written[next(iter(self._written))]


def rates_of_date(tables: LakeTables, day: date) -> dict[int, float]:
    """The going rates of a date's minutes, and of the one before it, by their microseconds.

    For a date of an earlier version, which wrote no markets, they are computed from its rows.
    """
    since = day - timedelta(days=1)
    sql = f"SELECT minute, fee_rate FROM market WHERE date BETWEEN DATE '{since}' AND DATE '{day}'"
    minutes, rates = _minutes(tables.query(f"{sql} ORDER BY minute", "market"))
    if not len(minutes):
        sql = f"{_PAYMENTS} AND date = DATE '{day}' ORDER BY append_time"
        times, paid = _payments(tables.query(sql, "raw_transactions"))
        minutes = np.unique(minute_of(times))
        markets = markets_of(times, paid, minutes.tolist())
        rates = np.array([market.fee_rate for market in markets])
    return dict(zip(minutes.tolist(), rates.tolist(), strict=True))


def rates_at(append_times: pa.ChunkedArray | pa.Array, rates: dict[int, float]) -> Floats:
    """The going fee rate at each append time, by the minutes of `rates`, which ascend."""
    if not rates:
        return np.zeros(len(append_times))
    minutes, fee_rates = np.array(list(rates)), np.array(list(rates.values()))
    return fee_rates_at(_micros(append_times), minutes, fee_rates)


def _rows(markets: list[Market]) -> pa.Table:
    columns = dict(zip(Market._fields, zip(*markets, strict=True), strict=True))
    dates = [market.minute.date() for market in markets]
    return pa.table({name: list(of) for name, of in columns.items()} | {"date": dates}, MARKET)


def _payments(rows: pa.Table) -> tuple[Integers, Floats]:
    fee, weight = (rows[name].to_numpy().astype(np.float64) for name in ("fee", "weight"))
    return _micros(rows["append_time"]), fee * 4 / weight


def _minutes(rows: pa.Table) -> tuple[Integers, Floats]:
    return _micros(rows["minute"]), rows["fee_rate"].to_numpy()


def _micros(times: pa.ChunkedArray | pa.Array) -> Integers:
    micros: Integers = times.cast(TIMESTAMP).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return micros
