"""What a transaction pays in its package: together with unconfirmed parents, or with a child.

A miner takes a transaction with its unconfirmed parents and looks at the fee rate of all (child
pays for parent: Bitcoin Core, `CreateNewBlock`). So the fee of a child that pays for a parent is no
accident, and a parent that pays nothing is not stuck. Where that makes a difference a transaction
is judged by its effective fee rate: its numbers with the fee that this rate asks of its own weight.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.transaction import DETECTOR_FIELDS

_WEIGHT, _FEE, _INPUT_VALUE = map(DETECTOR_FIELDS.index, ("weight", "fee", "input_value"))


class Payment(NamedTuple):
    """What one transaction pays: its fee in satoshi, and its weight in weight units."""

    fee: int
    weight: int

    @property
    def fee_rate(self) -> float:
        """In sat/vB."""
        return self.fee * 4 / self.weight


def package_fee_rate(payments: Iterable[tuple[int, int]]) -> float:
    """The fee rate in sat/vB of transactions together, each with its fee and its weight.

    >>> package_fee_rate([(0, 600), (3_000, 600)])
    10.0
    """
    fees, weights = zip(*payments, strict=True)
    return 4 * float(sum(fees)) / float(sum(weights))


def effective_fee_rate(
    own: Payment, parents: Sequence[Payment], children: Sequence[Payment], going_rate: float
) -> float | None:
    """The fee rate of a transaction in its package, in sat/vB; None where that is its own.

    It pays for those parents that pay less than itself. Of a child that pays more, it gets what it
    lacks of the going rate and no more: what the child pays beyond that is the child's own doing.

    >>> effective_fee_rate(Payment(30_000, 600), [Payment(0, 600)], [], going_rate=20.0)
    100.0
    >>> effective_fee_rate(Payment(0, 600), [], [Payment(30_000, 600)], going_rate=20.0)
    20.0
    """
    poorer = [parent for parent in parents if parent.fee_rate < own.fee_rate]
    if poorer:
        return package_fee_rate([own, *poorer])
    best = max((package_fee_rate([own, child]) for child in children), default=0.0)
    effective = min(best, going_rate)
    return effective if effective > own.fee_rate else None


def in_package(numbers: NDArray[Any], fee_rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows with the fees that their effective fee rates ask of them; NaN leaves a row as it is.

    `numbers` has shape (n, 8), the columns `DETECTOR_FIELDS`, and `fee_rates` (n,). The inputs
    change with the fee, so that it stays their difference to the outputs.
    """
    rows = np.array(numbers, np.float64)
    fees = np.where(np.isnan(fee_rates), rows[:, _FEE], np.rint(fee_rates * rows[:, _WEIGHT] / 4))
    rows[:, _INPUT_VALUE] += fees - rows[:, _FEE]
    rows[:, _FEE] = fees
    return rows
