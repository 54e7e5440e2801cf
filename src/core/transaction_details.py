"""What is inside transactions of the lake: who is spent from and who is paid, and relatives.

Inputs and outputs are columns of `raw_transactions`, whose rows lie in the order of their append
times: with a row's append time a query reads some pages, without it every hash. Relatives are found
through `movements`, the index by address: a parent has paid the address that is spent from, and a
child spends from one that is paid. So only those are found whose addresses are kept.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from core.lake import sql_list, sql_time
from core.transaction import TAIL_DIGITS, parent_tails, tx_index

Row = dict[str, Any]

Ask = Callable[..., list[Row]]
"""`ask(sql, *tables)`: the rows of a query on these tables; none while one of them is missing."""

MOST_RELATIVES = 25
"""Parents, and children, that are named of one transaction."""

MOST_ADDRESSES = 20
"""Addresses of each side by which relatives are looked for: each costs a part of every day."""

_MOST_CANDIDATES = 200
"""Transactions that spend from a paid address, of which those that spend this output are kept."""

_AT_ONCE = 200
"""Transactions that are read by one query."""

_TOGETHER = timedelta(minutes=10)
"""A child may arrive so long before its parent, and times so near are read together."""


class Input(NamedTuple):
    """One input: the address or script that is spent from, satoshi, and the outpoint."""

    address: str
    value: int
    outpoint: str


class Output(NamedTuple):
    """One output: the address or script that is paid, and satoshi."""

    address: str
    value: int


@dataclass(frozen=True)
class Inside:
    """The inputs and outputs that are kept of a transaction, in order.

    A side is None where the source left something out, or the row is of an earlier version;
    `outpoints` may be known then. A side that is cut has more than is kept.
    """

    inputs: list[Input] | None
    outputs: list[Output] | None
    outpoints: list[str]
    inputs_cut: bool = False
    outputs_cut: bool = False

    @property
    def addresses(self) -> set[str]:
        """Every address and script on either side."""
        return {side.address for sides in (self.inputs, self.outputs) for side in sides or ()}


class Relative(NamedTuple):
    """A parent or child, when Kafka appended it, and the satoshi of the outputs between them."""

    hash: str
    append_time: datetime
    value: int


INSIDE_COLUMNS = (
    *("spent_outpoints", "input_addresses", "input_values", "outpoints_cut"),
    *("output_addresses", "output_values", "outputs_cut"),
)
"""The columns of `raw_transactions` that `inside_of` takes."""


def inside_of(row: Mapping[str, Any]) -> Inside:
    """The inside of a row of `raw_transactions`."""
    outpoints = row["spent_outpoints"]
    spent = (row["input_addresses"], row["input_values"], outpoints)
    paid = (row["output_addresses"], row["output_values"])
    return Inside(
        None if None in spent else [Input(*each) for each in zip(*spent, strict=True)],
        None if None in paid else [Output(*each) for each in zip(*paid, strict=True)],
        outpoints or [],
        bool(row["outpoints_cut"]),
        bool(row["outputs_cut"]),
    )


def insides(ask: Ask, appended: Mapping[str, datetime]) -> dict[str, Inside]:
    """The insides of transactions by their hashes; `appended` has the append time of each.

    What `raw_transactions` does not have is left out. Raises as `ask` does.
    """
    columns = ", ".join(("hash", *INSIDE_COLUMNS))
    rows = rows_by_hash(ask, "raw_transactions", columns, appended)
    return {row["hash"]: inside_of(row) for row in rows}


def find_transaction(ask: Ask, hash: str) -> Row | None:
    """The row of `raw_transactions` with a hash, None without one; every hash may be read."""
    sql = f"SELECT * FROM raw_transactions WHERE hash = '{hash}' LIMIT 1"
    return next(iter(ask(sql, "raw_transactions")), None)


def rows_by_hash(ask: Ask, table: str, columns: str, appended: Mapping[str, datetime]) -> list[Row]:
    """Rows of `raw_transactions` or `scored_transactions` by hash and append time."""
    in_order = sorted(appended.items(), key=lambda item: item[1])
    rows: list[Row] = []
    for start in range(0, len(in_order), _AT_ONCE):
        part = dict(in_order[start : start + _AT_ONCE])
        times = " OR ".join(_periods(part.values()))
        rows += ask(
            f"SELECT {columns} FROM {table} WHERE {on_dates(part.values())} AND ({times})"
            f" AND hash IN {sql_list(part.keys())}",
            table,
        )
    return rows


def on_dates(times: Iterable[datetime]) -> str:
    """The condition of the partitions of some append times, at least one."""
    dates = sorted({f"DATE '{at.date()}'" for at in times})
    return f"date IN ({', '.join(dates)})"


def _periods(times: Iterable[datetime]) -> list[str]:
    """The conditions of some append times, ascending; those near each other are one period."""
    periods: list[list[datetime]] = []
    for at in times:
        if periods and at - periods[-1][1] <= _TOGETHER:
            periods[-1][1] = at
        else:
            periods.append([at, at])
    return [
        f"append_time BETWEEN {sql_time(first)} AND {sql_time(last)}" for first, last in periods
    ]


def parents(ask: Ask, inside: Inside, appended: datetime) -> list[Relative]:
    """The transactions whose outputs one spends, the newest first, at most `MOST_RELATIVES`.

    Those count that the lake has, for the first `MOST_ADDRESSES` addresses that are spent from.
    """
    inputs = inside.inputs or []
    addresses = _first_addresses(inputs)
    values: dict[str, int] = {}
    for each in inputs:
        for tail in parent_tails([each.outpoint]) if each.address in addresses else ():
            values[tail] = values.get(tail, 0) + each.value
    if not values:
        return []
    rows = ask(
        "SELECT hash, min(append_time) AS append_time FROM movements"
        f" WHERE date <= DATE '{(appended + _TOGETHER).date()}' AND NOT spent"
        f" AND address IN {sql_list(addresses)}"
        f" AND right(hash, {TAIL_DIGITS}) IN {sql_list(values.keys())}"
        f" GROUP BY hash ORDER BY 2 DESC, 1 LIMIT {MOST_RELATIVES}",
        "movements",
    )
    return [
        Relative(row["hash"], row["append_time"], values[row["hash"][-TAIL_DIGITS:]])
        for row in rows
    ]


def children(ask: Ask, hash: str, inside: Inside, appended: datetime) -> list[Relative]:
    """The transactions that spend an output of one, the oldest first, at most `MOST_RELATIVES`.

    Those count that the lake has, for the first `MOST_ADDRESSES` addresses that are paid.
    """
    outputs = inside.outputs or []
    addresses = _first_addresses(outputs)
    values = {str(each.value) for each in outputs if each.address in addresses}
    if not values:
        return []
    earliest = appended - _TOGETHER
    rows = ask(
        "SELECT hash, min(append_time) AS append_time FROM movements"
        f" WHERE date >= DATE '{earliest.date()}' AND append_time >= {sql_time(earliest)} AND spent"
        f" AND address IN {sql_list(addresses)} AND value IN ({', '.join(sorted(values))})"
        f" GROUP BY hash ORDER BY 2, 1 LIMIT {_MOST_CANDIDATES}",
        "movements",
    )
    candidates = {row["hash"]: row["append_time"] for row in rows}
    found, spent = insides(ask, candidates), f"{tx_index(hash)}:"
    between = {
        name: [each.value for each in side.inputs or () if each.outpoint.startswith(spent)]
        for name, side in found.items()
    }
    return [
        Relative(name, at, sum(between[name]))
        for name, at in candidates.items()
        if between.get(name)
    ][:MOST_RELATIVES]


def _first_addresses(sides: Iterable[Input] | Iterable[Output]) -> list[str]:
    return list(dict.fromkeys(side.address for side in sides))[:MOST_ADDRESSES]


def flags_of(ask: Ask, appended: Mapping[str, datetime]) -> dict[str, bool]:
    """Whether each transaction is flagged, by hash; those without a score yet are left out."""
    rows = rows_by_hash(ask, "scored_transactions", "hash, is_anomaly", appended)
    return {row["hash"]: row["is_anomaly"] for row in rows}
