"""The market of the simulated network: a path of the fee level, times a factor that can be set.

What senders really pay is observed as transactions arrive, so it is right for a recording too.
"""

import math
from collections import deque
from statistics import median
from typing import Any

import numpy as np

from core.ordinary_traffic import market_paths
from data_ingestion.simulation.transactions import SimulatedTransaction

FACTORS = (0.001, 1_000.0)
"""Least and greatest factor of the level."""

USUAL_SEED = 0
"""Of the path of a simulator without a seed. Its level depends on the clock alone, so each start
finds the market that the last one left."""

_OBSERVED = 200
"""Newest transactions that say what senders pay: half a minute at 7 a second."""


class SimulatedMarket:
    """What senders pay; `path` is a name of `market_paths.PATHS`, `start` where it begins."""

    def __init__(self, path: str, seed: int, start: float) -> None:
        self.path, self.factor = path, 1.0
        self.start, self.seed = start, seed
        self._observed: deque[float] = deque(maxlen=_OBSERVED)

    def level(self, now: float) -> float:
        """The level at Unix time `now` as a multiple of the usual one, the factor included."""
        on_path = market_paths.level(self.path, np.array([now]), self.seed, self.start)
        return self.factor * float(on_path[0])

    def multiply(self, factor: float) -> None:
        """Multiply the level from now on; raises `ValueError` out of the bounds `FACTORS`."""
        product = self.factor * factor
        if not FACTORS[0] <= product <= FACTORS[1]:
            raise ValueError(
                f"factor would make the level {product:g} times that of its path, "
                f"which is not between {FACTORS[0]:g} and {FACTORS[1]:g}"
            )
        self.factor = product

    def observe(self, transaction: SimulatedTransaction) -> None:
        """Take note of what one ordinary transaction pays."""
        if transaction.weight > 0 and transaction.fee > 0:
            self._observed.append(transaction.fee * 4 / transaction.weight)

    def going_rate(self, now: float) -> float:
        """The median fee rate in sat/vB of the newest transactions; the path's where none came."""
        if not self._observed:
            return self.level(now) / market_paths.from_rate(1.0)
        return median(self._observed)


def reprice(item: dict[str, Any], level: float) -> None:
    """Multiply the fee of a recorded transaction, in whole satoshi rounded up.

    The outputs stay as they are: the largest inputs carry the difference. An item that does not
    state its fee and the value of every coin that it spends stays as it is.
    """
    if level == 1:
        return
    fee = item.get("fee")
    coins = [spent.get("prev_out") or {} for spent in item["inputs"]]
    stated = [fee, *(coin.get("value") for coin in coins)]
    if not fee or not coins or not all(isinstance(number, int) for number in stated):
        return
    item["fee"] = math.ceil(fee * level)
    difference = item["fee"] - fee
    for coin in sorted(coins, key=lambda coin: -int(coin["value"])):
        added = max(difference, -int(coin["value"]))
        coin["value"] += added
        difference -= added
