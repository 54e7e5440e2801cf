"""Finds the packages of flagged transactions in the lake: parents and children that wait with them.

They are few, so a query each time costs less than a memory of all transactions. Only what has
arrived counts, of inputs those that `core.transaction.MAX_OUTPOINTS` keeps. Of a transaction that
was first seen in a block, those count that are in the same one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from core.effective_fee import Payment, effective_fee_rate
from core.lake import sql_list, sql_time
from core.transaction import TAIL_DIGITS, parent_tails, tx_index
from data_processing.lake_tables import LakeTables

FLAGGED = ("hash", "fee", "weight", "market_fee_rate", "append_time", "block_height")
"""The columns that `package_fee_rates` takes."""

LONGEST_WAIT = timedelta(days=1)
"""Parents that have waited longer are not looked for: each day more is one more to search."""

TOGETHER = timedelta(minutes=1)
"""A child counts that arrives so soon before or after: nodes relay a parent that pays nothing only
in one package with its child, and a verdict does not wait for later ones."""

_AT_ONCE = 5_000
"""Names in one query."""

Row = Mapping[str, Any]


def package_fee_rates(tables: LakeTables, flagged: pa.Table) -> dict[str, float]:
    """The effective fee rates, in sat/vB by hash, of those transactions whose package changes them.

    `flagged` has the columns `FLAGGED` of transactions that `raw_transactions` has.
    """
    rows = flagged.to_pylist()
    if not rows:
        return {}
    parents, children = _parents(tables, rows), _children(tables, rows)
    rates = {}
    for row in rows:
        own, hash = Payment(row["fee"], row["weight"]), row["hash"]
        rate = effective_fee_rate(own, parents[hash], children[hash], row["market_fee_rate"])
        if rate is not None:
            rates[hash] = rate
    return rates


def _parents(tables: LakeTables, rows: Sequence[Row]) -> defaultdict[str, list[Payment]]:
    """The parents of each, by its hash, that waited when it arrived or are mined with it."""
    first, last = _period(rows)
    own = _rows(
        tables,
        "SELECT hash, spent_outpoints FROM raw_transactions"
        f" WHERE {_between(first, last)} AND hash",
        [row["hash"] for row in rows],
    )
    tails = {row["hash"]: parent_tails(row["spent_outpoints"]) for row in own}
    found = _rows(
        tables,
        "SELECT hash, fee, weight, append_time, block_height FROM raw_transactions"
        f" WHERE {_between(first - LONGEST_WAIT, last + TOGETHER)} AND right(hash, {TAIL_DIGITS})",
        sorted(set().union(*tails.values())),
    )
    by_tail = {parent["hash"][-TAIL_DIGITS:]: parent for parent in found}
    confirmed = _confirmed(tables, [parent["hash"] for parent in found], first - LONGEST_WAIT)
    parents: defaultdict[str, list[Payment]] = defaultdict(list)
    for row in rows:
        for tail in tails.get(row["hash"], set()) & by_tail.keys():
            parent, at = by_tail[tail], row["append_time"]
            waits = row["block_height"] is not None or confirmed.get(parent["hash"], at) >= at
            if waits and parent["append_time"] <= at + TOGETHER and _is_with(parent, row):
                parents[row["hash"]].append(Payment(parent["fee"], parent["weight"]))
    return parents


def _children(tables: LakeTables, rows: Sequence[Row]) -> defaultdict[str, list[Payment]]:
    """The children of each transaction, by its hash, that arrived together with it."""
    first, last = _period(rows)
    by_index = {str(tx_index(row["hash"])): row for row in rows}
    spends = (
        "SELECT hash, fee, weight, append_time, block_height, unnest(spent_outpoints) AS outpoint"
        f" FROM raw_transactions WHERE {_between(first - TOGETHER, last + TOGETHER)}"
    )
    parent = "split_part(outpoint, ':', 1)"
    found = _rows(
        tables,
        f"SELECT DISTINCT hash, fee, weight, append_time, block_height, {parent} AS parent"
        f" FROM ({spends}) WHERE {parent}",
        list(by_index),
    )
    children: defaultdict[str, list[Payment]] = defaultdict(list)
    for child in found:
        row = by_index[child["parent"]]
        if abs(child["append_time"] - row["append_time"]) <= TOGETHER and _is_with(child, row):
            children[row["hash"]].append(Payment(child["fee"], child["weight"]))
    return children


def _is_with(relative: Row, row: Row) -> bool:
    """Whether both were first seen unconfirmed, or in the same block."""
    return bool(relative["block_height"] == row["block_height"])


def _confirmed(tables: LakeTables, hashes: Sequence[str], since: datetime) -> dict[str, datetime]:
    """When a block first confirmed each, of those that one did."""
    sql = (
        f"SELECT hash, append_time FROM confirmations WHERE date >= DATE '{since.date()}' AND hash"
    )
    confirmed: dict[str, datetime] = {}
    for row in _rows(tables, sql, hashes, "confirmations"):
        at = row["append_time"]
        confirmed[row["hash"]] = min(at, confirmed.get(row["hash"], at))
    return confirmed


def _rows(
    tables: LakeTables, sql: str, names: Sequence[str], table: str = "raw_transactions"
) -> list[dict[str, Any]]:
    """The rows of a query for which its last expression is one of the names."""
    rows: list[dict[str, Any]] = []
    for start in range(0, len(names), _AT_ONCE):
        listed = sql_list(names[start : start + _AT_ONCE])
        rows += tables.query(f"{sql} IN {listed}", table).to_pylist()
    return rows


def _period(rows: Sequence[Row]) -> tuple[datetime, datetime]:
    times = [row["append_time"] for row in rows]
    return min(times), max(times)


def _between(first: datetime, last: datetime) -> str:
    """The condition that a row was appended in a period."""
    return (
        f"date BETWEEN DATE '{first.date()}' AND DATE '{last.date()}'"
        f" AND append_time BETWEEN {sql_time(first)} AND {sql_time(last)}"
    )
