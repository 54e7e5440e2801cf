"""Rules that need no training: what is wrong or costly whatever recent traffic looks like.

They flag beside the model and are counted apart from its budget; while there is no champion they
flag alone. A fee can be high because all fees are, so a rule on fees also asks that it is far from
the market.

How often they flag recorded transactions, each block and the mempool beside its own median:

| recording | rows | above_limits | above_amount | far_above_market | numbers_contradict |
|---|---|---|---|---|---|
| unconfirmed, March 2024 | 8,131 | 0 | 1 (68,848 sat to send 6,950) | 0 | 0 |
| coinjoins | 2,084 | 0 | 0 | 0 | 0 |
| 22 whole blocks, 2009 to 2022 | 3,024 | 25 | 6 | 21 | 0 |

Those in blocks are in early ones, in which most pay nothing, and in one full of historic accidents;
the limits alone would flag 46. Of the unconfirmed ones 2,738 pay more than they
send: they move tokens and dust at the going rate, and only one of them pays ten times that rate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.transaction import COIN, is_coinbase

FAR = 10
"""How many times the going rate is far from the market."""

VERY_FAR = 40
"""The same for a fee that is flagged by this alone: no recorded transaction pays 31 times. It must
also be as many sat/vB, since wallets ask for some sat/vB where others pay a tenth of one."""

LEAST_LOSS = 10_000
"""In satoshi: a lower fee is no loss worth an alert, though it may be more than a move of dust."""

RULES_VERSION = "rules"
"""The `model_version` of a verdict by rules alone."""


class Judged(NamedTuple):
    """What a rule looks at, in the order of `DETECTOR_FIELDS`: floats, or arrays of one length."""

    size: Any
    weight: Any
    fee: Any
    inputs_count: Any
    outputs_count: Any
    input_value: Any
    output_value: Any
    market_fee_rate: Any


@dataclass(frozen=True)
class Rule:
    """One rule: its name, the words for a transaction that it flags, its source, the condition."""

    name: str
    words: str
    source: str
    flags: Callable[[Judged], Any]


def fee_contradicts(t: Any) -> Any:
    """Whether the fee is not what the inputs exceed the outputs by, which a coinbase's may be."""
    return t.fee != t.input_value - t.output_value


def weight_contradicts(t: Any) -> Any:
    """Whether the weight is impossible for the size: below it, or above four times it."""
    return (t.weight < t.size) | (t.weight > 4 * t.size)


def _far_from_market(t: Judged) -> Any:
    return t.fee * 4 > FAR * t.market_fee_rate * t.weight


RULES = (
    Rule(
        "fee_above_limits",
        "its fee is above the limits of Bitcoin Core's wallet and more than "
        f"{FAR} times what others pay",
        "Bitcoin Core, wallet/wallet.h: HIGH_TX_FEE_PER_KB 0.01 BTC, -maxtxfee 0.1 BTC",
        lambda t: ((t.fee * 4 > 1_000 * t.weight) | (t.fee > 0.1 * COIN)) & _far_from_market(t),
    ),
    Rule(
        "fee_above_amount",
        f"it pays more as fee than it sends, and more than {FAR} times what others pay",
        "a payment of which most is fee is the commonest form of a mistyped fee",
        lambda t: (t.fee > t.output_value) & (t.fee >= LEAST_LOSS) & _far_from_market(t),
    ),
    Rule(
        "fee_far_above_market",
        f"it pays more than {VERY_FAR} times what others pay",
        "the sender could have paid a fortieth; unconfirmed transactions of March 2024 pay up to "
        "30 times the going rate",
        lambda t: (
            (t.fee >= LEAST_LOSS)
            & (t.fee * 4 > VERY_FAR * t.weight)
            & (t.fee * 4 > VERY_FAR * t.market_fee_rate * t.weight)
        ),
    ),
    Rule(
        "numbers_contradict",
        "its numbers contradict each other",
        "fee = inputs - outputs; BIP 141: size <= weight <= 4 size; Bitcoin Core, CheckTransaction",
        lambda t: (
            fee_contradicts(t)
            | weight_contradicts(t)
            | (t.inputs_count == 0)
            | (t.outputs_count == 0)
        ),
    ),
)
"""Every rule. None flags a coinbase transaction."""


def rules_of(numbers: Any) -> tuple[str, ...]:
    """The names of the rules that flag one transaction: eight numbers as in `DETECTOR_FIELDS`."""
    judged = Judged(*numbers)
    if _is_coinbase(judged):
        return ()
    return tuple(rule.name for rule in RULES if rule.flags(judged))


def flagged_by_rules(numbers: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether a rule flags each row of shape (n, 8); shape (n,)."""
    judged = Judged(*numbers.T)
    flagged = np.zeros(len(numbers), np.bool_)
    for rule in RULES:
        flagged |= rule.flags(judged)
    flagged &= ~_is_coinbase(judged)
    return flagged


def _is_coinbase(t: Judged) -> Any:
    return is_coinbase(
        fee=t.fee,
        inputs_count=t.inputs_count,
        input_value=t.input_value,
        output_value=t.output_value,
    )
