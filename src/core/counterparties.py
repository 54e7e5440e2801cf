"""Who is beside an address in its newest transactions: who paid it, and whom it paid."""

from collections.abc import Iterable
from typing import NamedTuple

from core.address_history import AddressTransaction
from core.transaction_details import Ask, Inside, insides

MOST_FOR_COUNTERPARTIES = 100
"""Transactions of an address, the newest, whose other sides are read."""

MOST_COUNTERPARTIES = 25
"""Counterparties of each direction that are named, the largest."""


class Counterparty(NamedTuple):
    """Another address beside one: satoshi of its inputs or outputs, transactions, the flagged."""

    address: str
    value: int
    transactions: int
    flagged: int


def counterparties(
    ask: Ask, address: str, transactions: Iterable[AddressTransaction]
) -> tuple[list[Counterparty], list[Counterparty]]:
    """Who paid an address, and whom it paid, in these transactions, the largest sums first.

    In a transaction in which it spends, the other outputs are paid; in any other, the inputs pay.
    At most `MOST_FOR_COUNTERPARTIES` transactions and `MOST_COUNTERPARTIES` a side count.
    """
    chosen = list(transactions)[:MOST_FOR_COUNTERPARTIES]
    inside = insides(ask, {each.hash: each.append_time for each in chosen})
    payers: dict[str, list[int]] = {}
    payees: dict[str, list[int]] = {}
    for each in chosen:
        if (sides := inside.get(each.hash)) is not None:
            _count(payees if each.spent else payers, address, each, sides)
    return _largest(payers), _largest(payees)


def _count(
    sums: dict[str, list[int]], address: str, transaction: AddressTransaction, inside: Inside
) -> None:
    """Add the other addresses of one transaction: value, one transaction, whether flagged."""
    sides = inside.outputs if transaction.spent else inside.inputs
    values: dict[str, int] = {}
    for side in sides or ():
        if side.address != address:
            values[side.address] = values.get(side.address, 0) + side.value
    for other, value in values.items():
        so_far = sums.setdefault(other, [0, 0, 0])
        for place, more in enumerate((value, 1, int(bool(transaction.is_anomaly)))):
            so_far[place] += more


def _largest(sums: dict[str, list[int]]) -> list[Counterparty]:
    ordered = sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))
    return [Counterparty(address, *each) for address, each in ordered[:MOST_COUNTERPARTIES]]
