"""Patterns: known shapes of transactions, unusual or not, each with its source.

The model decides whether a transaction is unusual; its pattern says what kind of transaction it is.
Where several patterns fit, the first one counts. A shape says nothing of intent: a consolidation is
housekeeping, a coinjoin is privacy. Facts that only the raw JSON has are NaN where they are
unknown; no pattern that needs one fits then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.transaction import COIN, is_coinbase

FACTS = ("equal_outputs", "dust_outputs", "op_return")
"""The facts beyond the seven numbers that patterns use."""

facts_of = attrgetter(*FACTS)
"""These facts of a described transaction, as a tuple."""

COINBASE = "coinbase"
"""The pattern that is never flagged."""


class Shape(NamedTuple):
    """What a pattern is computed from: floats for one transaction, arrays of one length for many.

    The seven numbers, in their fields' units, then `FACTS`, NaN where unknown.
    """

    size: Any
    weight: Any
    fee: Any
    inputs_count: Any
    outputs_count: Any
    input_value: Any
    output_value: Any
    equal_outputs: Any
    dust_outputs: Any
    op_return: Any


@dataclass(frozen=True)
class Pattern:
    """One shape: its name, its description for readers, its source, and the rule."""

    name: str
    words: str
    source: str
    fits: Callable[[Shape], Any]


PATTERNS = (
    Pattern(
        COINBASE,
        "it creates a block's new coins",
        "Bitcoin Core, primitives/transaction.h: IsCoinBase",
        lambda t: is_coinbase(
            fee=t.fee,
            inputs_count=t.inputs_count,
            input_value=t.input_value,
            output_value=t.output_value,
        ),
    ),
    Pattern(
        "zero_fee",
        "it pays no fee",
        "Bitcoin Core, policy/policy.h: below any minimum relay fee",
        lambda t: t.fee == 0,
    ),
    Pattern(
        "fee_overpaid",
        "its fee is above the limits that Bitcoin Core's wallet warns at",
        "Bitcoin Core, wallet/wallet.h: HIGH_TX_FEE_PER_KB 0.01 BTC, -maxtxfee 0.1 BTC",
        lambda t: (t.fee * 4 > 1_000 * t.weight) | (t.fee > 0.1 * COIN),
    ),
    Pattern(
        "coinjoin",
        "it mixes the coins of several payers into equal outputs",
        "Kalodner et al., BlockSci, USENIX Security 2020; at least five, as Whirlpool makes",
        lambda t: (
            (t.equal_outputs >= 5)
            & (t.inputs_count >= t.equal_outputs)
            & (2 * t.equal_outputs >= t.outputs_count - 1)
        ),
    ),
    Pattern(
        "dust_fan_out",
        "it scatters amounts too small to be worth spending",
        "Bitcoin Core, policy/policy.cpp: GetDustThreshold, 546 satoshi at the most",
        lambda t: (t.outputs_count >= 10) & (t.output_value <= 546 * t.outputs_count),
    ),
    Pattern(
        "very_large_value",
        "it moves 1,000 BTC or more",
        "Glassnode Academy: an entity with at least 1,000 BTC is a whale",
        lambda t: t.output_value >= 1_000 * COIN,
    ),
    Pattern(
        "oversized",
        "it is larger than nodes relay by default",
        "Bitcoin Core, policy/policy.h: MAX_STANDARD_TX_WEIGHT 400,000",
        lambda t: t.weight > 400_000,
    ),
    Pattern(
        "consolidation",
        "it gathers many coins into few",
        "mempool.space: at least five inputs for each output; here ten or more",
        lambda t: (t.inputs_count >= 10) & (t.inputs_count >= 5 * t.outputs_count),
    ),
    Pattern(
        "batch_payout",
        "it pays many at once",
        "mempool.space: at least five outputs for each input; here ten or more",
        lambda t: (t.outputs_count >= 10) & (t.outputs_count >= 5 * t.inputs_count),
    ),
    Pattern(
        "data_carrier",
        "it carries data",
        "Bitcoin Core, script/solver.h: NULL_DATA; BIP 141 for data in a witness",
        lambda t: (
            (t.op_return == 1)
            | (t.weight > 4 * (42 + 600 * t.inputs_count + 172 * t.outputs_count))
        ),
    ),
    Pattern(
        "dust",
        "it pays an output below the dust limit",
        "Bitcoin Core, policy/policy.cpp: GetDustThreshold",
        lambda t: t.dust_outputs >= 1,
    ),
)
"""Every pattern, in the order in which they are tried."""

_NAMES = np.array([*(pattern.name for pattern in PATTERNS), None], dtype=object)


def pattern_of(shape: Shape) -> str | None:
    """The pattern of one transaction, or None."""
    for pattern in PATTERNS:
        if pattern.fits(shape):
            return pattern.name
    return None


def patterns_of(shape: Shape) -> NDArray[np.object_]:
    """The pattern of each transaction, or None; shape (n,)."""
    index = np.full(len(shape.fee), len(PATTERNS))
    for i in range(len(PATTERNS) - 1, -1, -1):
        index[PATTERNS[i].fits(shape)] = i
    names: NDArray[np.object_] = _NAMES[index]
    return names
