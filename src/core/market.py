"""The market: the going fee rate of each minute, from the transactions that came before it.

A fee is high or low beside what others pay at that time, and nothing else is meaningful. The market
of a minute is the median fee rate of the newest transactions before that minute began, with the
range that most of them lie in. After a silence, as when the stack was stopped, the minute's own
transactions say it: the market may have moved meanwhile. Minutes are those of Kafka's append time,
and a market is written to the table `market` once, so a replay, a backlog and a second start judge
a transaction alike.

Nobody can push a median with a few transactions: a share s of the traffic, however high it pays,
moves it to the quantile 1 / 2 / (1 - s) of the others: to the 51 % quantile with one in a hundred,
to the 63 % quantile with one in five. That needs no scores, so it holds before there is a model.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_ROWS = 1_000
"""A market is that of at most so many transactions, the newest ones."""

LONGEST = timedelta(minutes=5)
"""A market is that of the last five minutes, where they have enough transactions."""

LEAST_ROWS = 100
"""Fewer than these in the last five minutes are a silence: older ones count too, up to so many."""

OWN_ROWS = 30
"""After a silence a minute with at least so many transactions of its own is measured by them."""

MINUTE = 60_000_000
"""Microseconds: times are counted in them."""

_LONGEST = LONGEST // timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Market(NamedTuple):
    """The market of one minute, the columns `core.tables.MARKET`; fee rates in sat/vB.

    `fee_rate` is the median of `rows` transactions, `low` and `high` are their 10 % and 90 %
    quantiles. `minute` is when the minute begins.
    """

    minute: datetime
    fee_rate: float
    low: float
    high: float
    rows: int


def minute_of(times: Integers) -> Integers:
    """When the minute of each time begins; both in microseconds since 1970."""
    return times // MINUTE * MINUTE


def markets_of(times: Integers, fee_rates: Floats, minutes: Sequence[int]) -> list[Market]:
    """The markets of some minutes, from transactions at ascending `times`, in microseconds.

    `fee_rates` are theirs, in sat/vB, coinbases left out. A minute before which there is none is
    measured by its own, and left out where it has none either. A minute after a silence is
    measured by its own if it has `OWN_ROWS` of them.
    """
    markets = []
    for minute in minutes:
        end = int(np.searchsorted(times, minute))
        recent = int(np.searchsorted(times, minute - _LONGEST))
        begin = max(min(max(recent, end - MOST_ROWS), end - LEAST_ROWS), 0)
        until = int(np.searchsorted(times, minute + MINUTE))
        after_a_silence = end - recent < LEAST_ROWS and until - end >= OWN_ROWS
        if end == 0 or after_a_silence:
            begin, end = end, until
        if end > begin:
            markets.append(_market(minute, fee_rates[begin:end]))
    return markets


def _market(minute: int, fee_rates: Floats) -> Market:
    low, median, high = np.quantile(fee_rates, [0.1, 0.5, 0.9]).tolist()
    at = _EPOCH + timedelta(microseconds=minute)
    return Market(at, median, low, high, len(fee_rates))


def going_rates(times: Integers, fee_rates: Floats) -> Floats:
    """The going fee rate at the time of each transaction, from these transactions themselves.

    `times` are in microseconds, in any order; shape (n,), all in sat/vB.
    """
    order, minutes = np.argsort(times, kind="stable"), np.unique(minute_of(times))
    markets = markets_of(times[order], fee_rates[order], minutes.tolist())
    return fee_rates_at(times, minutes, np.array([market.fee_rate for market in markets]))


def fee_rates_at(times: Integers, minutes: Integers, fee_rates: Floats) -> Floats:
    """The going fee rate at each time: that of its minute, or of the newest minute before.

    `minutes` ascend, at least one, in microseconds; `fee_rates` are theirs. A time before all of
    them gets the first.
    """
    index = np.searchsorted(minutes, times, side="right") - 1
    rates: Floats = fee_rates[np.maximum(index, 0)]
    return rates
