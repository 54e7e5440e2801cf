"""Coinjoins, by the protocol that makes them.

A coinjoin spends the coins of several payers and pays each of them one same amount, so that nobody
can tell who got which. That amount is no dust, which nobody would mix. What enters a pool or leaves
it is no coinjoin.

- Whirlpool, of Samourai and Ashigaru: as many inputs as outputs, 5 to 10; every output is the
  pool's amount; an input is that amount, from an earlier mix, or up to 0.0011 BTC more, which pays
  the miners. [1]
- Wasabi 2, since 2022: inputs and outputs are native segwit and sorted by value, the largest first;
  outputs are of many standard amounts. Its first coordinator asked for 50 inputs, later ones for
  20 and fewer. [2]
- Wasabi 1, 2018 to 2022: all is native segwit v0; many equal outputs of some 0.1 BTC, change, and
  the fee of the coordinator, whose script was one of two until 2020. [1]
- JoinMarket, since 2015: a taker and its makers get one equal output each, and change, which the
  taker may not have. A maker's coins are worth its two outputs less what the taker pays it. [3]
- Others: the coins of each payer are worth its outputs and a part of the fee.

[1] Stockinger et al., "Pinpointing and Measuring Wasabi and Samourai CoinJoins in the Bitcoin
    Ecosystem", 2021. More than five payers, and Ashigaru's pools: their release notes.
[2] WalletWasabi, `DenominationBuilder.cs`: powers of 2 and of 3, twice those of 3, and 1, 2 and 5
    times those of 10, from 5,000 satoshi.
[3] Möser and Böhme, "The Price of Anonymity: Empirical Evidence from a Market for Bitcoin
    Anonymization", 2017. JoinMarket's default is at least four makers.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from core.blockchain_json.schema import Input, Output
from core.blockchain_json.scripts import script_type
from core.transaction import COIN, CoinjoinProtocol

LEAST_AMOUNT = 5_000
"""Satoshi: Wasabi 2's least, and ten times a dust limit."""

_FEWEST_PAYERS = 3

_POOLS = {100_000, 1_000_000, 5_000_000, 50_000_000, 2_500_000, 25_000_000}
"""Satoshi of Samourai's pools, then of Ashigaru's."""

_POOL_FEE = 110_000
"""Satoshi that an input may bring beyond the pool's amount."""

DENOMINATIONS = frozenset(
    amount
    for base, factors in ((2, (1,)), (3, (1, 2)), (10, (1, 2, 5)))
    for power in range(38)
    for factor in factors
    if LEAST_AMOUNT <= (amount := factor * base**power) <= 1_400 * COIN
)
"""Satoshi: the standard amounts of Wasabi 2."""

_WASABI_2_INPUTS, _WASABI_2_AMOUNTS = 15, 5
_WASABI_1_PAYERS = 10
_WASABI_1_AMOUNTS = range(8_000_000, 12_000_001)
_COORDINATORS = {
    "0014eaaab82317670d0ee3013b073b25a7a5c780f528",
    "0014869f5c7a4cd7776ae0c0fcd9c3315abb239a9f0d",
}

_DEFAULT_MAKERS = 4

_TOLERANCE = 0.005
"""What a maker earns, or what a payer pays, at the most, as a share of the amount."""

_LEAST_TOLERANCE = 3_000
"""The same in satoshi, for small amounts."""

_GROUPS = ((1, 400), (2, 80), (3, 24))
"""How many of a payer's coins are tried together, and with how many inputs at the most."""

_SEARCHED = 50
"""With more inputs than that, most payers bring more coins than are tried together."""

_TYPED = 1_000
"""An amount that is a multiple of it was chosen by a person, as of a payout; a sweep's is none."""


@dataclass(frozen=True)
class _Shape:
    """What the protocols look at: values in satoshi, and whose they are by script."""

    spent: Sequence[int]
    paid: Sequence[int]
    spenders: Sequence[str | None]
    receivers: Sequence[str | None]
    amount: int
    payers: int

    @cached_property
    def change(self) -> list[int]:
        """What is paid besides the equal outputs."""
        return [value for value in self.paid if value not in (self.amount, 0)]

    @cached_property
    def of_distinct_people(self) -> bool:
        """Whether each equal output has a script of its own, from as many spenders, none of whom
        is paid by a script that is spent.
        """
        equal = [
            script
            for script, value in zip(self.receivers, self.paid, strict=True)
            if value == self.amount
        ]
        return (
            len(set(equal)) == self.payers
            and self.enough_spenders
            and {script for script in self.spenders if script}.isdisjoint(self.receivers)
        )

    @property
    def enough_spenders(self) -> bool:
        """Whether as many scripts are spent as there are payers; one that is missing is another."""
        known = {script for script in self.spenders if script}
        return len(known) + sum(script is None for script in self.spenders) >= self.payers

    def types(self) -> set[str]:
        """The script types of all inputs and outputs whose script is known."""
        return {script_type(script) for script in {*self.spenders, *self.receivers} if script}


def coinjoin_protocol(
    inputs: Sequence[Input], outputs: Sequence[Output]
) -> CoinjoinProtocol | None:
    """The protocol of a coinjoin; None for other transactions, and where a value is missing.

    Scripts of inputs may be missing; the rules on them are then taken as kept.
    """
    shape = _shape(inputs, outputs)
    if shape is None:
        return None
    return next((name for name, fits in _PROTOCOLS if fits(shape)), None)


def _shape(inputs: Sequence[Input], outputs: Sequence[Output]) -> _Shape | None:
    """None for what is no coinjoin at first sight, as nearly all transactions are."""
    if len(inputs) < _FEWEST_PAYERS or len(outputs) < _FEWEST_PAYERS:
        return None
    paid = [output.value for output in outputs]
    amount, payers = max(
        Counter(value for value in paid if value >= LEAST_AMOUNT).items(),
        key=lambda each: each[1],
        default=(0, 0),
    )
    spent = [i.prev_out.value for i in inputs if i.prev_out and i.prev_out.value is not None]
    if payers < _FEWEST_PAYERS or len(spent) < len(inputs):
        return None
    spenders = [i.prev_out.script if i.prev_out else None for i in inputs]
    return _Shape(spent, paid, spenders, [output.script for output in outputs], amount, payers)


def _whirlpool(shape: _Shape) -> bool:
    pool, count = shape.amount, len(shape.paid)
    return (
        5 <= shape.payers == count == len(shape.spent) <= 10
        and pool in _POOLS
        and all(pool <= value <= pool + _POOL_FEE for value in shape.spent)
        and pool in shape.spent
        and shape.of_distinct_people
    )


def _wasabi_2(shape: _Shape) -> bool:
    return (
        len(shape.spent) >= _WASABI_2_INPUTS
        and _descending(shape.spent)
        and _descending(shape.paid)
        and min(len(set(shape.spent)), len(set(shape.paid))) >= _WASABI_2_AMOUNTS
        and sum(value in DENOMINATIONS for value in shape.paid) > 0.8 * len(shape.paid)
        and shape.types() <= {"p2wpkh", "p2tr"}
        and shape.enough_spenders
    )


def _wasabi_1(shape: _Shape) -> bool:
    if not shape.enough_spenders or shape.types() != {"p2wpkh"}:
        return False
    if not _COORDINATORS.isdisjoint(shape.receivers):
        return True
    return (
        shape.payers >= _WASABI_1_PAYERS
        and shape.amount in _WASABI_1_AMOUNTS
        and sum(count == 1 for count in Counter(shape.paid).values()) >= 2
    )


def _joinmarket(shape: _Shape) -> bool:
    """Each maker has to be found, half of them where there are four, as by default, or more."""
    changes = len(shape.change)
    one_amount = len(set(shape.change)) == changes
    if not (one_amount and changes in (shape.payers, shape.payers - 1)):
        return False
    if not shape.of_distinct_people or max(shape.spent) > shape.amount + max(shape.change):
        return False
    makers = shape.payers - 1
    if makers >= _DEFAULT_MAKERS and len(shape.spent) > _SEARCHED and shape.amount % _TYPED:
        return True
    found = _payers_found(shape, earns=True)
    return found >= (makers // 2 if makers >= _DEFAULT_MAKERS else makers)


def _coinjoin(shape: _Shape) -> bool:
    return (
        shape.payers >= 5
        and len(shape.change) <= shape.payers
        and shape.of_distinct_people
        and 2 * _payers_found(shape, earns=False) >= shape.payers
    )


_PROTOCOLS: tuple[tuple[CoinjoinProtocol, Callable[[_Shape], bool]], ...] = (
    ("whirlpool", _whirlpool),
    ("wasabi_2", _wasabi_2),
    ("wasabi_1", _wasabi_1),
    ("joinmarket", _joinmarket),
    ("coinjoin", _coinjoin),
)


def _descending(values: Sequence[int]) -> bool:
    return all(first >= second for first, second in zip(values, values[1:], strict=False))


def _payers_found(shape: _Shape, earns: bool) -> int:
    """How many payers have coins that are worth their outputs, no coin counted for two of them.

    A payer that `earns` gets up to the tolerance more than it spends, one that does not pays up to
    that. One with neither, as a spender of its own mixed coins has, is not counted.
    """
    tolerance = max(_LEAST_TOLERANCE, int(_TOLERANCE * shape.amount))
    low, high = (-tolerance, 0) if earns else (1, tolerance)
    worth = [shape.amount + value for value in shape.change]
    worth += [shape.amount] * (shape.payers - len(worth) - earns)
    groups = sorted(
        (sum(shape.spent[i] for i in chosen), chosen)
        for size, most in _GROUPS
        if len(shape.spent) <= most
        for chosen in combinations(range(len(shape.spent)), size)
    )
    sums = [total for total, _ in groups]
    matches = [
        sorted(
            (
                chosen
                for _, chosen in groups[bisect_left(sums, w + low) : bisect_right(sums, w + high)]
            ),
            key=len,
        )
        for w in worth
    ]
    used: set[int] = set()
    found = 0
    for candidates in sorted(matches, key=len):
        chosen = next((each for each in candidates if used.isdisjoint(each)), None)
        if chosen is not None:
            used.update(chosen)
            found += 1
    return found
