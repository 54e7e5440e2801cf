"""Unconfirmed parents and children of a transaction, and the fee rate that miners see of both.

A miner takes a transaction together with its unconfirmed parents, so a child can pay for a parent
(child pays for parent: Bitcoin Core, `CreateNewBlock` sorts by the fee rate of such packages). Only
what the lake has seen counts, and of inputs those that `core.transaction.MAX_OUTPOINTS` keeps.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from core.lake import sql_time
from core.tables import EVENT_AFTER
from core.transaction import INDEX_END, hash_tail, tx_index
from dashboard.lake.sources import MEMPOOL_EXPIRY, Lake

MOST_RELATIVES = 25
"""Ancestors or descendants that Bitcoin Core lets wait together (`-limitdescendantcount`)."""

_UNSETTLED = "hash, fee, weight, append_time FROM raw_transactions WHERE block_height IS NULL"


class Relative(NamedTuple):
    """A parent or child: fee in satoshi, weight in weight units, when Kafka appended it."""

    hash: str
    fee: int
    weight: int
    append_time: datetime


def unconfirmed_parents(lake: Lake, hash: str, seen: datetime) -> list[Relative]:
    """The transactions whose outputs one spends, and that waited when it was first seen.

    Raises `dashboard.lake.sources.LAKE_ERRORS`.
    """
    spent = lake.query(
        "raw_transactions",
        f"SELECT spent_outpoints FROM raw_transactions WHERE {_days(seen, seen)}"
        f" AND hash = '{hash}' LIMIT 1",
    )
    outpoints = spent["spent_outpoints"][0].as_py() if spent is not None and len(spent) else None
    indices = {int(outpoint.partition(":")[0]) for outpoint in outpoints or ()}
    tails = {hash_tail(index) for index in indices if index < INDEX_END}
    if not tails:
        return []
    names = ", ".join(f"'{tail}'" for tail in sorted(tails))
    found = _relatives(
        lake,
        f"SELECT {_UNSETTLED} AND {_days(seen - MEMPOOL_EXPIRY, seen)}"
        f" AND right(hash, {len(next(iter(tails)))}) IN ({names})",
    )
    return [parent for parent in found if not _confirmed_before(lake, parent.hash, seen)]


def unconfirmed_children(lake: Lake, hash: str, seen: datetime) -> list[Relative]:
    """The transactions that spend an output of one while it waits; it was first seen at `seen`."""
    found = _relatives(
        lake,
        f"SELECT {_UNSETTLED} AND {_days(seen, seen + MEMPOOL_EXPIRY)}"
        f" AND concat(' ', array_to_string(spent_outpoints, ' ')) LIKE '% {tx_index(hash)}:%'",
    )
    return [child for child in found if not _confirmed_before(lake, hash, child.append_time)]


def package_fee_rate(transactions: Iterable[tuple[int, int]]) -> float:
    """The fee rate in sat/vB of transactions together, each with its fee and its weight.

    >>> package_fee_rate([(0, 600), (3_000, 600)])
    10.0
    """
    fees, weights = zip(*transactions, strict=True)
    return 4 * float(sum(fees)) / float(sum(weights))


def _relatives(lake: Lake, sql: str) -> list[Relative]:
    table = lake.query("raw_transactions", f"{sql} ORDER BY append_time LIMIT {MOST_RELATIVES}")
    rows: Sequence[dict[str, Any]] = [] if table is None else table.to_pylist()
    return [Relative(**row) for row in rows]


def _confirmed_before(lake: Lake, hash: str, moment: datetime) -> bool:
    table = lake.query(
        "confirmations",
        f"SELECT hash FROM confirmations WHERE date >= DATE '{(moment - MEMPOOL_EXPIRY).date()}'"
        f" AND hash = '{hash}' AND append_time < {sql_time(moment)} LIMIT 1",
    )
    return table is not None and len(table) > 0


def _days(first: datetime, last: datetime) -> str:
    """The date partitions of what was first seen between two times."""
    early, late = (first - EVENT_AFTER).date(), (last + EVENT_AFTER + timedelta(days=1)).date()
    return f"date BETWEEN DATE '{early}' AND DATE '{late}'"
