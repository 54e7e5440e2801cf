"""Real transactions by which every model is judged, beside the anomalies that are injected.

`real_transactions.csv` has facts of the main chain: anybody can look a row up by its txid. The
rows of a group are the first of their kind by txid, so nobody has picked them. `date` is that of
the block, in UTC, or the month of a mempool. `market_fee_rate` is the median fee rate (sat/vB) of
their own block, of the mempool of mid-March 2024, of the nearest block that is known, or for
Wasabi 1 of its transactions of that year; where none of these is known, a row is taken to pay the
going rate: its own fee rate stands there, at least 1 sat/vB, the least that nodes relayed then. The
labels of coinjoins and of what is beside them are those of the Dumplings project's scanner. No
model learns from these rows.

Of coinjoins, of what enters and leaves a pool, and of look-alikes, `size` and `weight` are
estimated from the types of their scripts; all else is exact. Of the accidents are assumed: the
10,000 sat that an inscription of 4 MB moves; 1,000 sat an input of the consolidation of 2015; the
13 inputs of 2016, which its size implies; and one byte of the signature of November 2023.
"""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from core.features import Floats
from core.transaction import NUMERIC_FIELDS

UNUSUAL = ("accidents", "wasabi_1_coinjoins", "wasabi_2_coinjoins")
"""Groups that a model is to flag."""

TOLD_BY_NAME = ("whirlpool_coinjoins", "joinmarket_coinjoins")
"""Groups that are small and even: whether a model finds them unusual decides nothing."""

ORDINARY = (
    "entering_a_whirlpool",
    "leaving_a_whirlpool",
    "look_alikes",
    "blocks_of_2011_to_2022",
    "mempool_of_2024",
)
"""Groups of ordinary traffic. Look-alikes of coinjoins are none. From the blocks and the mempool
rows were drawn whatever they are."""

GROUPS = UNUSUAL + TOLD_BY_NAME + ORDINARY

ACCIDENTS: Mapping[str, str] = {
    "cc455ae816e6cdafdb58d54e35d4f46d860047458eacf1c7405dc634631c570d": "291 BTC of fee, 2016",
    "d5392d474b4c436e1c9d1f4ff4be5f5f9bb0eb2e26b61d2781751474b7e870fd": "Paxos's fee, 2023",
    "b5a2af5845a8d3796308ff9840e567b14cf6bb158ff26c999e6f9a1f5448f9aa": "83.65 BTC of fee, 2023",
    "0301e0480b374b32851a9462db29dc19fe830a7f7d7a88b81612b9d42099c0ae": "a 4 MB picture, 2023",
    "bb41a757f405890fb0f5856228e23b715702d714d59bf2b1feb70d8b2b4e3e08": "5,569 inputs, 2015",
}
"""What happened in each accident, by its txid."""

_FILE = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True)
class RealTransactions:
    """The rows of the file: their txids, groups and dates, and `numbers` of shape (n, 8)."""

    txids: tuple[str, ...]
    groups: tuple[str, ...]
    dates: tuple[str, ...]
    numbers: Floats

    def count(self, group: str) -> int:
        """The number of rows of a group."""
        return self.groups.count(group)


@cache
def real_transactions() -> RealTransactions:
    """Read the file."""
    with _FILE.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    columns = (*NUMERIC_FIELDS, "market_fee_rate")
    return RealTransactions(
        tuple(row["txid"] for row in rows),
        tuple(row["group"] for row in rows),
        tuple(row["date"] for row in rows),
        np.array([[float(row[name]) for name in columns] for row in rows]),
    )


def shares_flagged(score: Callable[[Floats], Floats], threshold: float) -> dict[str, float]:
    """The share of each group that scores at least `threshold`, in 0..1."""
    real = real_transactions()
    flagged = score(real.numbers) >= threshold
    groups = np.array(real.groups)
    return {group: float(flagged[groups == group].mean()) for group in GROUPS}


def share_of_ordinary(shares: Mapping[str, float]) -> float:
    """The share of all rows of the groups `ORDINARY` that is flagged, from that of each group."""
    real = real_transactions()
    counts = [real.count(group) for group in ORDINARY]
    return float(np.average([shares[group] for group in ORDINARY], weights=counts))


def mean_of_unusual(shares: Mapping[str, float]) -> float:
    """The mean of the shares that are flagged of the groups `UNUSUAL`."""
    return float(np.mean([shares[group] for group in UNUSUAL]))


def verdicts(score: Callable[[Floats], Floats], threshold: float) -> list[dict[str, object]]:
    """Each row with its score, as a table for people; an accident with what happened."""
    real = real_transactions()
    scores = score(real.numbers)
    return [
        {
            "txid": txid,
            "group": group,
            "date": date,
            "score": float(value),
            "flagged": bool(value >= threshold),
            "accident": ACCIDENTS.get(txid),
        }
        for txid, group, date, value in zip(
            real.txids, real.groups, real.dates, scores, strict=True
        )
    ]
