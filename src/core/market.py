"""The market: the going fee rate of each minute, from the transactions that came before it.

A fee is high or low beside what others pay at that time, and nothing else is meaningful. The market
of a minute is the median fee rate of the newest transactions before that minute began, with the
range that most of them lie in. The median is robust: a flood of one transaction in a hundred moves
it from the 50th to the 51st percentile. Minutes are those of Kafka's append time, so a replay and a
second start give the same markets.
"""

from datetime import datetime
from typing import NamedTuple


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
