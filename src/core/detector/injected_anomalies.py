"""The kinds of injected anomaly, for the simulator and for the evaluation of models.

Each kind changes the seven numbers of an ordinary transaction as a known accident, attack or oddity
would. The magnitudes were fixed before any model was tuned, by one rule: none of the 8,131
unconfirmed transactions of March 2024 that the project is calibrated on comes near them. (Those
reach 446 sat/vB, 0.012 BTC of fee, 800 inputs, 366 outputs, 1,299 BTC and 329 kB.) A kind is *held
out* when it serves for measuring only: no feature, setting or champion is ever chosen by it. The
quality of the detector is quoted on those.

A kind is no evidence of crime: its sender may find such a transaction ordinary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.transaction import COIN, NUMERIC_FIELDS

Integers = NDArray[np.int64]
Columns = dict[str, Integers]
R = TypeVar("R", NDArray[np.int64], NDArray[np.float64])

# Sizes of the commonest script type, P2WPKH (BIP 141, BIP 143): bytes, and weight units.
_OVERHEAD, _INPUT, _OUTPUT = (12, 42), (149, 272), (31, 124)
_SMALLEST_OUTPUT = 294
"""Satoshi: the dust limit of a P2WPKH output (Bitcoin Core, `policy/policy.cpp`)."""


@dataclass(frozen=True)
class Kind:
    """One kind of anomaly.

    `features` names the features of `core.features.FEATURES` that it moves out of the usual range.
    """

    name: str
    words: str
    features: tuple[str, ...]
    held_out: bool
    change: Callable[[Columns, np.random.Generator], Columns]

    def apply(self, rows: R, rng: np.random.Generator) -> R:
        """Make anomalies of this kind from ordinary rows, none of them a coinbase transaction.

        The first columns of `rows` are `NUMERIC_FIELDS`; any others are kept in the new array that
        it returns. Its rows are valid: fee = input_value - output_value, and
        size <= weight <= 4 * size.
        """
        width = len(NUMERIC_FIELDS)
        numbers = rows[:, :width].astype(np.int64)
        changed = self.change(dict(zip(NUMERIC_FIELDS, numbers.T, strict=True)), rng)
        made = rows.copy()
        made[:, :width] = np.column_stack([changed[name] for name in NUMERIC_FIELDS])
        return made


def _between(low: float, high: float, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw n numbers between two bounds, uniformly on a logarithmic scale."""
    return np.exp(rng.uniform(np.log(low), np.log(high), n))


def _whole(numbers: NDArray[np.float64]) -> Integers:
    return np.rint(numbers).astype(np.int64)


def _shaped(t: Columns, inputs: Integers, outputs: Integers, paid: Integers) -> Columns:
    """Change the counts and the output value of transactions, and keep their fee rates."""
    rate = t["fee"] / t["weight"]
    size = _OVERHEAD[0] + _INPUT[0] * inputs + _OUTPUT[0] * outputs
    weight = _OVERHEAD[1] + _INPUT[1] * inputs + _OUTPUT[1] * outputs
    fee = _whole(rate * weight)
    return {
        "size": size,
        "weight": weight,
        "fee": fee,
        "inputs_count": inputs,
        "outputs_count": outputs,
        "input_value": paid + fee,
        "output_value": paid,
    }


def _fat_finger_fee(t: Columns, rng: np.random.Generator) -> Columns:
    fee = _whole(t["fee"] * _between(1e2, 1e4, len(t["fee"]), rng))
    return t | {"fee": fee, "input_value": t["output_value"] + fee}


def _fee_and_amount_swapped(t: Columns, rng: np.random.Generator) -> Columns:
    amount = _whole(_between(0.05 * COIN, 300 * COIN, len(t["fee"]), rng))
    meant = np.maximum(t["fee"], _SMALLEST_OUTPUT)
    return t | {"fee": amount, "output_value": meant, "input_value": amount + meant}


def _dust_fan_out(t: Columns, rng: np.random.Generator) -> Columns:
    n = len(t["fee"])
    outputs = _whole(_between(700, 3_000, n, rng))
    each = _whole(rng.uniform(_SMALLEST_OUTPUT, 600, n))
    return _shaped(t, np.ones(n, np.int64), outputs, outputs * each)


def _payout_flood(t: Columns, rng: np.random.Generator) -> Columns:
    n = len(t["fee"])
    outputs = _whole(_between(1_500, 8_000, n, rng))
    each = _whole(_between(1e5, 1e7, n, rng))
    return _shaped(t, rng.integers(1, 4, n), outputs, outputs * each)


def _mass_consolidation(t: Columns, rng: np.random.Generator) -> Columns:
    n = len(t["fee"])
    inputs = _whole(_between(1_600, 5_600, n, rng))
    each = _whole(_between(1e4, 1e6, n, rng))
    return _shaped(t, inputs, np.ones(n, np.int64), inputs * each)


def _giant_mix(t: Columns, rng: np.random.Generator) -> Columns:
    n = len(t["fee"])
    inputs = _whole(_between(900, 3_000, n, rng))
    outputs = _whole(_between(900, 3_000, n, rng))
    return _shaped(t, inputs, outputs, outputs * _whole(_between(1e5, 1e7, n, rng)))


def _inflated_output(t: Columns, rng: np.random.Generator) -> Columns:
    paid = _whole(_between(5_000 * COIN, 500_000 * COIN, len(t["fee"]), rng))
    return t | {"output_value": paid, "input_value": paid + t["fee"]}


def _extreme_size(t: Columns, rng: np.random.Generator) -> Columns:
    n = len(t["fee"])
    witness = _whole(_between(7e5, 3.9e6, n, rng))
    fee = _whole(t["fee"] / t["weight"] * (witness + 400))
    fields = {"size": witness + 100, "weight": witness + 400, "fee": fee}
    one = np.ones(n, np.int64)
    counts = {"inputs_count": one, "outputs_count": one.copy()}
    return t | fields | counts | {"input_value": t["output_value"] + fee}


def _zero_fee(t: Columns, _rng: np.random.Generator) -> Columns:
    return t | {"fee": np.zeros_like(t["fee"]), "output_value": t["input_value"]}


_FEE = ("fee", "fee_rate", "fee_share")
_ALL = (
    Kind("fat_finger_fee", "a fee with two to four digits too many", _FEE, False, _fat_finger_fee),
    Kind(
        "dust_fan_out",
        "700 to 3,000 outputs at the dust limit",
        ("outputs_count", "value_per_output", "weight"),
        False,
        _dust_fan_out,
    ),
    Kind(
        "mass_consolidation",
        "1,600 to 5,600 inputs swept into one output",
        ("inputs_count", "weight", "fee"),
        False,
        _mass_consolidation,
    ),
    Kind(
        "inflated_output",
        "5,000 to 500,000 BTC moved at once",
        ("value_per_input", "value_per_output"),
        False,
        _inflated_output,
    ),
    Kind(
        "fee_and_amount_swapped",
        "0.05 to 300 BTC paid as fee, the intended fee as amount",
        _FEE,
        True,
        _fee_and_amount_swapped,
    ),
    Kind(
        "payout_flood",
        "1,500 to 8,000 ordinary payments in one transaction",
        ("outputs_count", "weight", "fee"),
        True,
        _payout_flood,
    ),
    Kind(
        "giant_mix",
        "900 to 3,000 inputs and as many outputs",
        ("inputs_count", "outputs_count", "weight"),
        True,
        _giant_mix,
    ),
    Kind(
        "extreme_size",
        "0.7 to 3.9 MB of data in one input",
        ("weight", "fee", "bulk"),
        True,
        _extreme_size,
    ),
    Kind("zero_fee", "no fee at all", _FEE, True, _zero_fee),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})
"""Every kind by its name."""
