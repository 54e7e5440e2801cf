"""The going fee rate that a transaction is judged beside, and where it comes from.

The caller can give it. Otherwise it is the stream's newest market, from the table `market`; without
one, the market that the champion was trained in; and without a champion the transaction's own fee
rate, beside which no fee is far.
"""

from datetime import UTC, datetime
from typing import Literal, NamedTuple

from core.background import BackgroundLoop
from core.detector.champion import Champion
from core.lake import newest_market
from core.market import Market
from core.transaction import Transaction

READ_SECONDS = 10.0
"""From one look at the table to the next: a market holds for a minute."""

Source = Literal["stream", "caller", "model", "none"]


class Beside(NamedTuple):
    """A going fee rate in sat/vB, its minute if it is the stream's, and its source."""

    fee_rate: float
    as_of: datetime | None
    source: Source


class GoingRate:
    """Keeps the stream's newest market; `current` is None while there is none.

    `origin` is `live` or `simulated`. After `start` a thread reads it every ten seconds; what it
    read last stays while the lake cannot be read.
    """

    def __init__(self, lake: str, origin: str) -> None:
        self.current: Market | None = None
        self._lake, self._origin = lake, origin
        self.loop = BackgroundLoop("market", self.refresh, READ_SECONDS)

    def refresh(self) -> None:
        """Read the newest market; raises `DeltaError` or `OSError` when it cannot be read."""
        self.current = newest_market(self._lake, self._origin, datetime.now(UTC)) or self.current

    def beside(
        self, transaction: Transaction, given: float | None, champion: Champion | None
    ) -> Beside:
        """What to judge a transaction beside; `given` is the caller's own going fee rate."""
        if given is not None:
            return Beside(given, None, "caller")
        if self.current is not None:
            return Beside(self.current.fee_rate, self.current.minute, "stream")
        learned = champion.calibration.facts.get("market_fee_rate") if champion else None
        if learned is not None:
            return Beside(float(learned), None, "model")
        return Beside(transaction.fee_rate, None, "none")
