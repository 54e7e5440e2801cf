"""The ended days of busy addresses, summed once: a page of such an address need not read them.

Of an address with few movements a day, reading them takes less time than this saves. The stream
sums a date when it has ended (`data_processing.chores.address_summing`). A row holds while its date
has as many movements and scores as it was made of; what arrives late makes it be summed again.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow as pa

from core.address_history import (
    FLOW_SECONDS,
    MOST_FLAGS,
    SUMS,
    AddressDay,
    AddressSums,
    Flag,
    Flow,
    by_transaction,
    flow_columns,
)
from core.tables import ADDRESS_DAYS
from core.transaction_details import Ask, Row

BUSY_MOVEMENTS = 1_000
"""An address with so many movements on a date is busy."""

MOST_BUSY = 500
"""Busy addresses of a date that are summed, the busiest."""


def address_days(
    ask: Ask,
    address: str,
    movements: Mapping[date, int],
    scores: Mapping[date, int],
    flow: bool = True,
) -> list[AddressDay]:
    """The dates on which an address was busy and that hold, in any order.

    `movements` and `scores` have the rows of `movements` and `scored_transactions` by date, as they
    are now. Without `flow` that of each day is left out, which saves half of the reading. Raises as
    `ask` does.
    """
    sums = ", ".join(AddressSums._fields)
    rows = ask(
        f"SELECT date, {sums}, flagged, flags{', flow' if flow else ''}, movements, scores"
        " FROM address_days"
        f" WHERE address = '{address}'",
        "address_days",
    )
    return [
        AddressDay(
            row["date"],
            AddressSums(*(row[name] for name in AddressSums._fields)),
            row["flagged"],
            [Flag(**each) for each in row["flags"]],
            [Flow(**each) for each in row.get("flow", ())],
        )
        for row in rows
        if row["movements"] == movements.get(row["date"], 0)
        and row["scores"] == scores.get(row["date"], 0)
    ]


def summed_day(ask: Ask, day: date, movements: int, scores: int) -> pa.Table:
    """The rows of `address_days` of a date with so many movements and scores; raises as `ask`."""
    on_day = f"date = DATE '{day}'"
    busiest = ask(
        f"SELECT address FROM movements WHERE {on_day} GROUP BY address"
        f" HAVING count(*) >= {BUSY_MOVEMENTS} ORDER BY count(*) DESC, address LIMIT {MOST_BUSY}",
        "movements",
    )
    if not busiest:
        return ADDRESS_DAYS.empty_table()
    names = ", ".join(f"'{row['address']}'" for row in busiest)
    of_busy = f"{on_day} AND address IN ({names})"
    by_both = by_transaction(of_busy, "address, hash")
    sums = ask(f"SELECT address, {SUMS} FROM ({by_both}) GROUP BY address", "movements")
    flows = ask(
        f"SELECT {flow_columns(FLOW_SECONDS)}, address FROM ({by_both}) GROUP BY 1, address"
        " ORDER BY 1",
        "movements",
    )
    flags = ask(
        "SELECT address, hash, event_time FROM (SELECT hash, event_time FROM scored_transactions"
        f" WHERE {on_day} AND is_anomaly) JOIN (SELECT DISTINCT address, hash AS moved"
        f" FROM movements WHERE {of_busy}) ON hash = moved ORDER BY event_time DESC, hash",
        "scored_transactions",
        "movements",
    )
    flag_lists, flow_lists = _by_address(flags), _by_address(flows)
    rows = [
        row
        | {"flagged": len(flag_lists.get(row["address"], ()))}
        | {"flags": flag_lists.get(row["address"], [])[:MOST_FLAGS]}
        | {"flow": flow_lists[row["address"]]}
        | {"movements": movements, "scores": scores, "date": day}
        for row in sums
    ]
    return pa.Table.from_pylist(rows, ADDRESS_DAYS)


def _by_address(rows: list[Row]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each address, in their order, without it."""
    lists: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        lists.setdefault(row.pop("address"), []).append(row)
    return lists
