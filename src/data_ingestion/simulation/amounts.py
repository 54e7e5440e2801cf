"""How drawn totals are split into the amounts of inputs and outputs: at random, or to be mixed.

Every list sums to its total, to the satoshi.
"""

from bisect import bisect_right
from random import Random

from core.blockchain_json.coinjoins import DENOMINATIONS
from core.transaction import CoinjoinProtocol

Total = tuple[int, int]
"""A count of inputs or outputs, and the satoshi of all of them together."""

_EVEN_BELOW = 1_000
"""Satoshi: smaller average amounts are split evenly, because a random share could be zero."""

_PREMIX_FEE = 100_000
"""Satoshi that a payer who enters a pool brings for the miners, at the most."""

_STANDARD = sorted(DENOMINATIONS)
_STANDARD_SHARE = 0.9
_EARNED = 2_000
"""Satoshi that a maker earns, at the most."""


def split_amount(total: int, parts: int, rng: Random) -> list[int]:
    """Divide an amount of satoshi at random; the parts sum to the total.

    >>> split_amount(1_000, 3, Random(1))
    [334, 333, 333]
    >>> sum(split_amount(5_000_000, 7, Random(1)))
    5000000
    """
    if total < _EVEN_BELOW * parts or parts == 1:
        each, rest = divmod(total, parts)
        return [each + (n < rest) for n in range(parts)]
    weights = [0.05 + rng.expovariate(1.0) for _ in range(parts)]
    scale = total / sum(weights)
    amounts = [int(weight * scale) for weight in weights[1:]]
    return [total - sum(amounts), *amounts]


def mixed_amounts(
    protocol: CoinjoinProtocol, inputs: Total, outputs: Total, rng: Random
) -> tuple[list[int], list[int]]:
    """What the inputs and the outputs of a coinjoin hold, in their order."""
    mix = {"whirlpool": _whirlpool, "wasabi_2": _wasabi_2, "joinmarket": _joinmarket}[protocol]
    return mix(inputs, outputs, rng)


def _whirlpool(inputs: Total, outputs: Total, rng: Random) -> tuple[list[int], list[int]]:
    """Every output is the pool's amount; those who enter the pool pay the fee."""
    count, spent = inputs
    pool = outputs[1] // outputs[0]
    fee = spent - pool * count
    entering = min(count - 1, max(2, -(-fee // _PREMIX_FEE)))
    each, rest = divmod(fee, entering)
    amounts = [pool + each + (n < rest) for n in range(entering)] + [pool] * (count - entering)
    rng.shuffle(amounts)
    return amounts, [pool] * outputs[0]


def _wasabi_2(inputs: Total, outputs: Total, rng: Random) -> tuple[list[int], list[int]]:
    """Most outputs are of standard amounts; all are sorted."""
    count, paid = outputs
    most = bisect_right(_STANDARD, paid // count)
    usual = _STANDARD[max(most - 8, 0) : most]
    standard = [rng.choice(usual) for _ in range(int(_STANDARD_SHARE * count))]
    change = split_amount(paid - sum(standard), count - len(standard), rng)
    spent = split_amount(inputs[1], inputs[0], rng)
    return sorted(spent, reverse=True), sorted([*standard, *change], reverse=True)


def _joinmarket(inputs: Total, outputs: Total, rng: Random) -> tuple[list[int], list[int]]:
    """Each maker brings one coin; the taker brings the others, and may have no change."""
    count, paid = outputs
    payers = (count + 1) // 2
    amount = paid // (2 * payers)
    change = split_amount(paid - amount * payers, count - payers, rng)
    makers = [amount + value - rng.randint(1, _EARNED) for value in change[: payers - 1]]
    taker = split_amount(inputs[1] - sum(makers), inputs[0] - len(makers), rng)
    spends, pays = [*makers, *taker], [*[amount] * payers, *change]
    rng.shuffle(spends)
    rng.shuffle(pays)
    return spends, pays
