"""Patterns: known shapes of transactions, unusual or not, each with its source.

The model decides whether a transaction is unusual; its patterns say what kind of transaction it is,
the most telling first. A shape says nothing of intent: a consolidation is housekeeping, a coinjoin
is privacy. Facts that only the raw JSON has may be unknown; no pattern that needs one fits then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.transaction import COIN, PATTERN_FACTS, CoinjoinProtocol, is_coinbase

facts_of = attrgetter(*PATTERN_FACTS)
"""The facts of a described transaction that patterns use, as a tuple."""

COINBASE = "coinbase"
"""The pattern that is never flagged, and beside which no other is named."""


class Shape(NamedTuple):
    """What a pattern is computed from: of one transaction, or arrays of one length for many.

    The seven numbers, in their fields' units, then `PATTERN_FACTS`: `coinjoin` is text, None where
    it is none or unknown; the others are numbers, NaN where unknown.
    """

    size: Any
    weight: Any
    fee: Any
    inputs_count: Any
    outputs_count: Any
    input_value: Any
    output_value: Any
    coinjoin: Any
    token_transfer: Any
    token_sale: Any
    dust_outputs: Any
    anchor_outputs: Any
    op_return: Any
    burned_value: Any
    version: Any


@dataclass(frozen=True)
class Pattern:
    """One shape: its name, its description for readers, its source, and the rule."""

    name: str
    words: str
    source: str
    fits: Callable[[Shape], Any]


def _mix(protocol: CoinjoinProtocol, words: str, source: str) -> Pattern:
    """The pattern of a coinjoin of this protocol, which the raw JSON tells."""
    return Pattern(protocol, words, source, lambda t: t.coinjoin == protocol)


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
        "fee_overpaid",
        "its fee is above the limits that Bitcoin Core's wallet warns at",
        "Bitcoin Core, wallet/wallet.h: HIGH_TX_FEE_PER_KB 0.01 BTC, -maxtxfee 0.1 BTC",
        lambda t: (t.fee * 4 > 1_000 * t.weight) | (t.fee > 0.1 * COIN),
    ),
    Pattern(
        "value_burned",
        "it destroys coins: an OP_RETURN output has a value, and nobody can spend it",
        "Bitcoin Core, script/script.h: IsUnspendable",
        lambda t: t.burned_value > 0,
    ),
    Pattern(
        "pay_to_anchor",
        "it has a pay-to-anchor output, which anyone may spend to pay for both",
        "Bitcoin Core 28.0 release notes; BIP 433",
        lambda t: t.anchor_outputs >= 1,
    ),
    Pattern(
        "ephemeral_dust",
        "it pays no fee and has an output of dust, which the child that pays for both must spend",
        "Bitcoin Core 29.0 release notes; policy/ephemeral_policy.h",
        lambda t: (t.fee == 0) & (t.dust_outputs == 1),
    ),
    Pattern(
        "zero_fee",
        "it pays no fee: nodes relay it only with a child that pays for both",
        "Bitcoin Core 28.0 release notes, one-parent-one-child package relay; BIP 431",
        lambda t: t.fee == 0,
    ),
    _mix(
        "whirlpool",
        "it is a coinjoin of Whirlpool: it mixes the coins of several payers into equal outputs of "
        "a pool's amount",
        "Stockinger et al. 2021, Pinpointing and measuring Wasabi and Samourai CoinJoins",
    ),
    _mix(
        "wasabi_2",
        "it is a coinjoin of Wasabi 2: it mixes the coins of many payers into outputs of standard "
        "amounts",
        "WalletWasabi, DenominationBuilder.cs",
    ),
    _mix(
        "wasabi_1",
        "it is a coinjoin of Wasabi 1: it mixes the coins of many payers into equal outputs of "
        "some 0.1 BTC",
        "Stockinger et al. 2021, Pinpointing and measuring Wasabi and Samourai CoinJoins",
    ),
    _mix(
        "joinmarket",
        "it is a coinjoin as JoinMarket makes: a taker pays makers to mix their coins with its own",
        "Möser and Böhme 2017, The price of anonymity",
    ),
    _mix(
        "coinjoin",
        "it is a coinjoin: it mixes the coins of several payers into equal outputs",
        "Meiklejohn and Orlandi 2015, Privacy-enhancing overlays in Bitcoin",
    ),
    Pattern(
        "token_transfer",
        "its owner moves tokens, as inscriptions, on outputs of 330 or 546 satoshi",
        "Bitcoin Core, policy/policy.cpp: GetDustThreshold, the least that such an output can hold",
        lambda t: t.token_transfer == 1,
    ),
    Pattern(
        "token_sale",
        "it sells tokens, as inscriptions, on outputs of up to 10,000 satoshi",
        "BIP 174, offers signed SIGHASH_SINGLE | SIGHASH_ANYONECANPAY; ord, TARGET_POSTAGE",
        lambda t: t.token_sale == 1,
    ),
    Pattern(
        "dust_fan_out",
        "it scatters amounts too small to be worth spending",
        "Bitcoin Core, policy/policy.cpp: GetDustThreshold, 546 satoshi at the most; here up to "
        "twice that",
        lambda t: (t.outputs_count >= 10) & (t.output_value <= 2 * 546 * t.outputs_count),
    ),
    Pattern(
        "very_large_value",
        "it moves 1,000 BTC or more",
        "Glassnode Academy: an entity with at least 1,000 BTC is a whale",
        lambda t: t.output_value >= 1_000 * COIN,
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
        "oversized",
        "it is larger than nodes relay by default",
        "Bitcoin Core, policy/policy.h: MAX_STANDARD_TX_WEIGHT 400,000",
        lambda t: t.weight > 400_000,
    ),
    Pattern(
        "low_fee",
        "it pays less than 1 sat/vB, which nodes relay since 2025",
        "Bitcoin Core 29.1 release notes: DEFAULT_MIN_RELAY_TX_FEE 0.1 sat/vB",
        lambda t: (t.fee > 0) & (t.fee * 4 < t.weight),
    ),
    Pattern(
        "data_carrier",
        "it carries data",
        "Bitcoin Core, script/solver.h: NULL_DATA, since 30.0 several and of any length; BIP 141 "
        "for data in a witness",
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
    Pattern(
        "version_3",
        "it is of version 3 (TRUC): it has one unconfirmed parent or child at the most",
        "BIP 431; Bitcoin Core 28.0 release notes",
        lambda t: t.version == 3,
    ),
)
"""Every pattern, the most telling first."""


def patterns_of(shape: Shape) -> tuple[str, ...]:
    """The names of the patterns that fit one transaction, in the order of `PATTERNS`."""
    fitting = tuple(pattern.name for pattern in PATTERNS if pattern.fits(shape))
    return (COINBASE,) if COINBASE in fitting else fitting


def fitting_patterns(shape: Shape) -> NDArray[np.bool_]:
    """Which of `PATTERNS` fit each of many transactions; shape (n, len(PATTERNS))."""
    fitting = np.column_stack([pattern.fits(shape) for pattern in PATTERNS]).astype(bool)
    fitting[fitting[:, 0], 1:] = False  # the first is COINBASE
    return fitting
