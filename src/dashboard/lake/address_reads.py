"""What the address page and the relatives of a transaction read from the lake, in one call each.

Both raise `dashboard.lake.sources.LAKE_ERRORS`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from core.address_days import address_days
from core.address_history import (
    FLOW_SECONDS,
    AddressSums,
    AddressTransaction,
    Flag,
    Flow,
    address_flags,
    address_flow,
    address_history,
    by_period,
    flow_of,
    lake_since,
)
from core.counterparties import Counterparty, counterparties
from core.transaction_details import (
    Inside,
    Relative,
    children,
    find_transaction,
    flags_of,
    insides,
    parents,
)
from dashboard.lake.sources import Lake

MOST_TRANSACTIONS = 100
"""Transactions of an address that its page lists, the newest."""

MOST_FURTHER = 8
"""Relatives of each side whose own relatives are looked up with the second hop."""

_BINS = (60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400)
_MOST_BINS = 60


class AddressView(NamedTuple):
    """Everything that the page of an address shows; `flow` is by periods of `seconds`."""

    address: str
    since: datetime
    sums: AddressSums
    flagged: int
    flags: list[Flag]
    seconds: int
    flow: list[Flow]
    transactions: list[AddressTransaction]
    payers: list[Counterparty]
    payees: list[Counterparty]


def address_view(lake: Lake, address: str) -> AddressView | None:
    """The page of an address; None where the lake has not seen it."""
    movements, scores = map(lake.rows_by_date, ("movements", "scored_transactions"))
    days = address_days(lake.ask, address, movements, scores)
    found = address_history(lake.ask, address, MOST_TRANSACTIONS, days=days)
    since = lake_since(lake.ask, movements)
    if since is None or found is None:
        return None
    sums, transactions, flow = found
    flagged, flags = address_flags(lake.ask, address, sums, days)
    length = (sums.last_seen - sums.first_seen).total_seconds()
    bins = [each for each in _BINS if flow is None or each % FLOW_SECONDS == 0]
    seconds = next((each for each in bins if length / each <= _MOST_BINS), _BINS[-1])
    if flow is not None:
        flow = by_period(flow, seconds)
    elif len(transactions) == sums.transactions:
        flow = flow_of(transactions, seconds)
    else:
        flow = address_flow(lake.ask, address, seconds)
    return AddressView(
        address,
        since,
        sums,
        flagged,
        flags,
        seconds,
        flow,
        transactions,
        *counterparties(lake.ask, address, transactions),
    )


@dataclass(frozen=True)
class Kin:
    """Parents and children of a transaction that the lake has.

    `further` has those of the second hop by the hash of the first, where they were asked for:
    parents of parents, and children of children. `flags` are those of all, by hash.
    """

    parents: Sequence[Relative] = ()
    children: Sequence[Relative] = ()
    further: dict[str, list[Relative]] = field(default_factory=dict)
    flags: dict[str, bool] = field(default_factory=dict)


def inside_with_parents(
    lake: Lake, hash: str, append_time: datetime
) -> tuple[Inside | None, list[Relative]]:
    """What is inside a transaction, and which of its parents the lake has."""
    inside = insides(lake.ask, {hash: append_time}).get(hash)
    return inside, [] if inside is None else parents(lake.ask, inside, append_time)


def kin_of(lake: Lake, hash: str, append_time: datetime | None, hops: int) -> Kin:
    """The relatives of a transaction, one hop or two; none where the lake does not have it.

    An `append_time` saves looking through every day.
    """
    if append_time is None:
        row = find_transaction(lake.ask, hash)
        append_time = None if row is None else row["append_time"]
    if append_time is None:
        return Kin()
    inside = insides(lake.ask, {hash: append_time}).get(hash)
    if inside is None:
        return Kin()
    above = parents(lake.ask, inside, append_time)
    below = children(lake.ask, hash, inside, append_time)
    further = _further(lake, above[:MOST_FURTHER], below[:MOST_FURTHER]) if hops > 1 else {}
    everyone = [*above, *below, *(each for members in further.values() for each in members)]
    flags = flags_of(lake.ask, {each.hash: each.append_time for each in everyone})
    return Kin(above, below, further, flags)


def _further(
    lake: Lake, above: Sequence[Relative], below: Sequence[Relative]
) -> dict[str, list[Relative]]:
    found = insides(lake.ask, {each.hash: each.append_time for each in (*above, *below)})
    further = {
        each.hash: parents(lake.ask, found[each.hash], each.append_time)
        for each in above
        if each.hash in found
    }
    return further | {
        each.hash: children(lake.ask, each.hash, found[each.hash], each.append_time)
        for each in below
        if each.hash in found
    }
