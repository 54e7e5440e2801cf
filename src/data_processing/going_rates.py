"""The table `market`, kept by the stream: the market of each minute in which records are appended.

A minute's market comes from the transactions that arrived before it, in the table or in the same
micro-batch; after a silence from the minute's own that its first micro-batch brings. It is
committed after `raw_transactions` and before `scored_transactions`. A crash in between leaves
minutes without a market, and a version without the table left all of them so: the start computes
them from the same rows. Once written a market never changes, so a second look at a transaction
judges it beside the same rate.
"""

import logging
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.lake import sql_time
from core.market import MOST_ROWS, Market, fee_rates_at, markets_of, minute_of
from core.tables import MARKET, TIMESTAMP
from core.transaction import COINBASE_SQL
from data_processing.lake_tables import LakeTables

log = logging.getLogger(__name__)

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_REMEMBERED = 50_000
"""Minutes kept in memory: five weeks, which is longer than a topic keeps records."""

_RECEIPTS = f"""SELECT append_time, CASE WHEN NOT {COINBASE_SQL} THEN fee * 4.0 / weight END
 AS fee_rate FROM raw_transactions"""
"""The columns of a receipt that a market is computed from."""

_NEWEST_FIRST = 'append_time DESC, "partition" DESC, "offset" DESC'
"""The order of receipts in a micro-batch, so that rows of one moment are left out alike."""

_DAY = timedelta(days=1)


class GoingRates:
    """Gives the market of each minute, and writes those that the table does not have yet.

    `newest` is the going fee rate, in sat/vB, that the newest transaction is judged beside; 0
    before there is one.
    """

    def __init__(self, tables: LakeTables) -> None:
        self._tables = tables
        written = f"SELECT minute, fee_rate FROM market ORDER BY minute DESC LIMIT {_REMEMBERED}"
        minutes, rates = _minutes(tables.query(written, "market"))
        self._written = dict(zip(minutes[::-1].tolist(), rates[::-1].tolist(), strict=True))
        self.newest = 0.0
        self._times, self._rates = np.empty(0, np.int64), np.empty(0)
        self._write_missing()

    def add(self, new: pa.Table) -> dict[int, float]:
        """Take the receipts of committed transactions, and return the rates of their minutes.

        Of a receipt `append_time` and `fee_rate` count, null for a coinbase. The keys are
        microseconds, ascending. Minutes without a market get one, in one commit.
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
        self.newest = next((r for m in minutes[::-1] if (r := self._written.get(m))), self.newest)
        return {minute: self._written.get(minute, self.newest) for minute in minutes}

    def _write_missing(self) -> None:
        """Write the markets that the rows of the table lack, a date at a time, and keep the newest.

        A date has all of its markets or none, but for that of the newest one: its later rows may
        have none, whether after a crash or because a version without markets wrote them.
        """
        dates = self._tables.rows_by_date("raw_transactions")
        with_markets = self._tables.rows_by_date("market")
        now = datetime.now(UTC).timestamp() * 1e6
        past = [minute for minute in self._written if minute <= now] or list(self._written)
        newest = datetime.fromtimestamp(max(past, default=0) / 1e6, UTC)
        before = len(self._written)
        for day in sorted(dates):
            if day >= newest.date() or day not in with_markets:
                begin = datetime.combine(day, time.min, UTC)
                start = newest if day == newest.date() else begin
                self._times, self._rates = self._newest_before(start, dates)
                self.add(self._receipts(start, begin + _DAY))
        if missing := len(self._written) - before:
            log.info("event=markets_written minutes=%d", missing)

    def _receipts(self, start: datetime, end: datetime) -> pa.Table:
        """The receipts from `start` to before `end`, both of one date, in their order."""
        where = f"date = DATE '{start.date()}' AND append_time >= {sql_time(start)}"
        sql = f"{_RECEIPTS} WHERE {where} AND append_time < {sql_time(end)}"
        rows = self._tables.query(f"{sql} ORDER BY {_NEWEST_FIRST}", "raw_transactions")
        return rows[::-1]

    def _newest_before(self, start: datetime, dates: dict[date, int]) -> tuple[Integers, Floats]:
        """Times and fee rates of the newest payments before `start`, from few of the `dates`."""
        since, rows = start.date(), 0
        for day in sorted((day for day in dates if day < start.date()), reverse=True):
            if rows >= 2 * MOST_ROWS:  # coinbases among them
                break
            since, rows = day, rows + dates[day]
        where = f"date >= DATE '{since}' AND append_time < {sql_time(start)} AND NOT {COINBASE_SQL}"
        sql = f"{_RECEIPTS} WHERE {where} ORDER BY {_NEWEST_FIRST} LIMIT {MOST_ROWS}"
        found = self._tables.query(sql, "raw_transactions")
        return _micros(found["append_time"])[::-1], found["fee_rate"].to_numpy()[::-1]

    def _write(self, markets: list[Market]) -> None:
        if not markets:
            return
        self._tables.append_arrow("market", _rows(markets))
        for market in markets:
            self._written[int(market.minute.timestamp()) * 1_000_000] = market.fee_rate
        while len(self._written) > _REMEMBERED:
            del self._written[next(iter(self._written))]


def rates_of_date(tables: LakeTables, day: date) -> dict[int, float]:
    """The going rates of a date's minutes, and of the date before it, by their microseconds."""
    where = f"date BETWEEN DATE '{day - _DAY}' AND DATE '{day}'"
    sql = f"SELECT minute, fee_rate FROM market WHERE {where} ORDER BY minute"
    minutes, rates = _minutes(tables.query(sql, "market"))
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


def _minutes(rows: pa.Table) -> tuple[Integers, Floats]:
    return _micros(rows["minute"]), rows["fee_rate"].to_numpy()


def _micros(times: pa.ChunkedArray | pa.Array) -> Integers:
    micros: Integers = times.cast(TIMESTAMP).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return micros
