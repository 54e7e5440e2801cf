"""Unconfirmed parents and children of a transaction, for its panel.

Only what the lake has seen counts, and of inputs those that `core.transaction.MAX_OUTPOINTS` keeps.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from core.lake import sql_list, sql_time
from core.transaction import TAIL_DIGITS, parent_tails, tx_index
from dashboard.lake.sources import MEMPOOL_EXPIRY, Lake, appended_since, days_around

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
        f"SELECT spent_outpoints FROM raw_transactions WHERE {days_around(seen)}"
        f" AND hash = '{hash}' LIMIT 1",
    )
    outpoints = spent["spent_outpoints"][0].as_py() if spent is not None and len(spent) else None
    tails = parent_tails(outpoints)
    if not tails:
        return []
    found = _relatives(
        lake,
        f"SELECT {_UNSETTLED} AND {days_around(seen - MEMPOOL_EXPIRY, seen)}"
        f" AND right(hash, {TAIL_DIGITS}) IN {sql_list(tails)}",
    )
    confirmed = _confirmed(lake, [parent.hash for parent in found], seen)
    return [parent for parent in found if confirmed.get(parent.hash, seen) >= seen]


def unconfirmed_children(lake: Lake, hash: str, seen: datetime) -> list[Relative]:
    """The transactions that spend an output of one while it waits; it was first seen at `seen`."""
    expiry = seen + MEMPOOL_EXPIRY
    settled = _confirmed(lake, [hash], seen).get(hash, expiry)
    return _relatives(
        lake,
        f"SELECT {_UNSETTLED} AND {appended_since(seen)} AND date <= DATE '{settled.date()}'"
        f" AND append_time <= {sql_time(settled)}"
        f" AND concat(' ', array_to_string(spent_outpoints, ' ')) LIKE '% {tx_index(hash)}:%'",
    )


def _relatives(lake: Lake, sql: str) -> list[Relative]:
    table = lake.query("raw_transactions", f"{sql} ORDER BY append_time LIMIT {MOST_RELATIVES}")
    rows: Sequence[dict[str, Any]] = [] if table is None else table.to_pylist()
    return [Relative(**row) for row in rows]


def _confirmed(lake: Lake, hashes: Collection[str], seen: datetime) -> dict[str, datetime]:
    """When a block first confirmed each, of those that one did; all waited at `seen` or before."""
    if not hashes:
        return {}
    table = lake.query(
        "confirmations",
        "SELECT hash, min(append_time) AS confirmed FROM confirmations"
        f" WHERE {days_around(seen - MEMPOOL_EXPIRY, seen + MEMPOOL_EXPIRY)}"
        f" AND hash IN {sql_list(hashes)} GROUP BY hash",
    )
    rows = [] if table is None else table.to_pylist()
    return {row["hash"]: row["confirmed"] for row in rows}
