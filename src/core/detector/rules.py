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

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.effective_fee import in_package
from core.transaction import COIN, DETECTOR_FIELDS, PACKAGE_FEE_RATE, REPLACED_FEE, is_coinbase

FAR = 10
"""How many times the going rate is far from the market."""

VERY_FAR = 40
"""The same for a fee that is flagged by this alone: no recorded transaction pays 31 times. It must
also be as many sat/vB, since wallets ask for some sat/vB where others pay a tenth of one."""

LEAST_LOSS = 10_000
"""In satoshi: a lower fee is no loss worth an alert, though it may be more than a move of dust."""

STEEP = 10
"""A replacement that multiplies the fee by so much is flagged: replacements pay a little more than
what they replace (BIP 125, rule 4), and an overpaid fee often ends such a chain."""

RULES_VERSION = "rules"
"""The `model_version` of a verdict by rules alone."""


class Judged(NamedTuple):
    """What a rule looks at: `DETECTOR_FIELDS`, then the step from the fee that it replaces.

    Floats, or arrays of one length. `fee_step` is by how many times the fee exceeds that of the
    transaction that it replaces; NaN where it replaces none.
    """

    size: Any
    weight: Any
    fee: Any
    inputs_count: Any
    outputs_count: Any
    input_value: Any
    output_value: Any
    market_fee_rate: Any
    fee_step: Any = math.nan


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
        "fee_multiplied",
        f"it pays at least {STEEP} times the fee of the transaction that it replaces",
        "BIP 125, rule 4: a replacement need pay only for its own relay beyond the fee replaced",
        lambda t: t.fee_step >= STEEP,
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


def rules_of(numbers: Any, fee_step: float = math.nan) -> tuple[str, ...]:
    """The names of the rules that flag one transaction: eight numbers as in `DETECTOR_FIELDS`.

    `fee_step` is as in `Judged`.
    """
    judged = Judged._make((*numbers, fee_step))
    if _is_coinbase(judged):
        return ()
    return tuple(rule.name for rule in RULES if rule.flags(judged))


def rules_of_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the rules that flag a row of `scored_transactions`, judged as it was then.

    Rows of versions before the rules have none.
    """
    if row.get("flagged_by") not in ("rule", "both"):
        return ()
    package_fee_rate, replaced_fee = row.get(PACKAGE_FEE_RATE), row.get(REPLACED_FEE)
    own = np.array([[row[name] for name in DETECTOR_FIELDS]], np.float64)
    effective = math.nan if package_fee_rate is None else package_fee_rate
    (numbers,) = in_package(own, np.array([effective])).tolist()
    step = math.nan if replaced_fee is None else fee_step(row["fee"], replaced_fee)
    return rules_of(numbers, step)


def fee_step(fee: Any, replaced_fee: Any) -> Any:
    """By how many times a fee exceeds that of what it replaces; numbers, or arrays of one length.

    >>> float(fee_step(50_000, 2_000))
    25.0
    """
    return fee / np.maximum(replaced_fee, 1)


def flagged_by_rules(
    numbers: NDArray[Any], fee_steps: NDArray[np.float64] | float = math.nan
) -> NDArray[np.bool_]:
    """Whether a rule flags each row of shape (n, 8); `fee_steps` and the result have shape (n,)."""
    judged = Judged._make((*numbers.T, fee_steps))
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
