"""What the lake has seen of one address: its sums, its transactions, its flags, its flow.

Everything is read from `movements`, the index by address, and summed by the query engine, so that
an address with a million rows takes no more of Python's memory than one with ten. Of a busy address
the ended days are already summed (`core.address_days`), and only the others are read. A row that a
crash left in `movements` twice counts once. Addresses are texts of `core.transaction.Address`:
whoever takes one from a stranger validates it first.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from core.blockchain_json.scripts import script_type
from core.lake import sql_time
from core.transaction_details import Ask, Row, flags_of

MOST_FLAGS = 1_000
"""Flagged transactions of an address that are named, the newest; all are counted."""

FLOW_SECONDS = 1_800
"""The periods by which the flow of ended days is kept."""

_HEX = re.compile("[0-9a-f]+")
_PREFIXES = (
    ("p2a", r"bc1pfeessrawgf|tb1pfees9rn5nz"),
    ("p2wpkh", r"(bc|tb)1q[02-9ac-hj-np-z]{38}"),
    ("p2wsh", r"(bc|tb)1q[02-9ac-hj-np-z]{58}"),
    ("p2tr", r"(bc|tb)1p[02-9ac-hj-np-z]{58}"),
    ("witness_unknown", r"(bc|tb)1[02-9ac-hj-np-z]{6,86}"),
    ("p2pkh", r"[1mn][1-9A-HJ-NP-Za-km-z]{25,34}"),
    ("p2sh", r"[23][1-9A-HJ-NP-Za-km-z]{25,34}"),
)
"""The script types by the form of their addresses: BIP 173, BIP 350, and Base58 by first digit."""


class Place(NamedTuple):
    """Where a transaction is among those of an address, the newest first."""

    append_time: datetime
    hash: str


class AddressSums(NamedTuple):
    """An address in the lake: amounts in satoshi, times of its transactions, and of their rows."""

    transactions: int
    received: int
    spent: int
    first_seen: datetime
    last_seen: datetime
    first_append: datetime
    last_append: datetime


class AddressTransaction(NamedTuple):
    """What one transaction did to an address, in satoshi; `is_anomaly` is None while unscored."""

    hash: str
    event_time: datetime
    append_time: datetime
    received: int
    spent: int
    is_anomaly: bool | None


class Flag(NamedTuple):
    """A flagged transaction of an address."""

    hash: str
    event_time: datetime


class Flow(NamedTuple):
    """What an address received and spent in a period from `start` on, in satoshi."""

    start: datetime
    received: int
    spent: int


class AddressDay(NamedTuple):
    """What an address did on one date of append time, all of it.

    `flags` has the newest, and `flow` is by `FLOW_SECONDS`.
    """

    date: date
    sums: AddressSums
    flagged: int
    flags: list[Flag]
    flow: list[Flow]


def address_type(address: str) -> str | None:
    """The script type of an address or a script; None for what is neither.

    >>> address_type("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"), address_type("6a0101")
    ('p2wpkh', 'op_return')
    """
    for name, form in _PREFIXES:
        if re.fullmatch(form, address):
            return name
    return script_type(address) if _HEX.fullmatch(address) else None


_DUST_LIMITS = {"p2pkh": 546, "p2sh": 540, "p2wpkh": 294, "p2wsh": 330, "p2tr": 330, "p2a": 240}
"""By script type, as `core.blockchain_json.scripts.dust_limit` computes them."""


def dust_limit_of(address: str) -> int:
    """The value in satoshi below which an output to this address or script is dust; 0 if unknown.

    >>> dust_limit_of("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"), dust_limit_of("6a0101")
    (294, 0)
    """
    return _DUST_LIMITS.get(address_type(address) or "", 0)


def canonical(address: str) -> str:
    """An address in the form that the lake has: segwit ones (BIP 173) and scripts in lower case.

    >>> canonical("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4")
    'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4'
    """
    in_capitals = re.fullmatch("(BC|TB)1[0-9A-Z]+|[0-9A-Fa-f]+", address)
    return address.lower() if in_capitals else address


def lake_since(ask: Ask, dates: Collection[date]) -> datetime | None:
    """When Kafka appended the oldest movement of the lake; None while there is none.

    `dates` are those of the partitions of `movements`.
    """
    if not dates:
        return None
    sql = f"SELECT min(append_time) AS since FROM movements WHERE date = DATE '{min(dates)}'"
    since: datetime | None = ask(sql, "movements")[0]["since"]
    return since


class AddressHistory(NamedTuple):
    """An address with a page of its transactions.

    `flow` is all of it by `FLOW_SECONDS` where some of its days were already summed, else None.
    """

    sums: AddressSums
    transactions: list[AddressTransaction]
    flow: list[Flow] | None


def address_history(
    ask: Ask,
    address: str,
    limit: int,
    before: Place | None = None,
    days: Sequence[AddressDay] = (),
) -> AddressHistory | None:
    """The sums of an address, and its newest transactions of those that are older than `before`.

    `days` are those of its dates that are already summed. None for an address that the lake has not
    seen.
    """
    sums: AddressSums | None
    flow: list[Flow] | None = None
    if days:
        parts, flow = _parts(ask, address, days)
        sums, since = _added(parts), _time_with_enough(parts, limit, before)
        rows = ask(_newest(address, limit, before, since), "movements")
    else:
        rows = ask(_newest(address, limit, before), "movements")
        if before is None and len(rows) < limit:
            sums = _sums_of(rows)
        else:
            (summed,) = ask(_all_sums(address), "movements")
            sums = AddressSums(**summed) if summed["transactions"] else None
    if sums is None:
        return None
    flags = flags_of(ask, {row["hash"]: row["append_time"] for row in rows})
    transactions = [AddressTransaction(**row, is_anomaly=flags.get(row["hash"])) for row in rows]
    return AddressHistory(sums, transactions, flow)


def _newest(address: str, limit: int, before: Place | None, since: datetime | None = None) -> str:
    times, where = "", ""
    if before is not None:
        at = sql_time(before.append_time)
        times = f" AND date <= DATE '{before.append_time.date()}' AND append_time <= {at}"
        where = f" WHERE append_time < {at} OR (append_time = {at} AND hash < '{before.hash}')"
    if since is not None:
        times += f" AND date >= DATE '{since.date()}' AND append_time >= {sql_time(since)}"
    movements = by_transaction(f"address = '{address}'{times}")
    return f"SELECT * FROM ({movements}){where} ORDER BY append_time DESC, hash DESC LIMIT {limit}"


def _time_with_enough(
    parts: Sequence[AddressSums], limit: int, before: Place | None
) -> datetime | None:
    """A time since which, and older than `before`, there are `limit` transactions or more."""
    found = 0
    for part in sorted(parts, key=lambda part: part.first_append, reverse=True):
        if before is None or part.last_append < before.append_time:
            found += part.transactions
        if found >= limit:
            return part.first_append
    return None


def _all_sums(address: str) -> str:
    movements = by_transaction(f"address = '{address}'")
    return f"SELECT {SUMS} FROM ({movements})"


def _parts(
    ask: Ask, address: str, days: Sequence[AddressDay]
) -> tuple[list[AddressSums], list[Flow]]:
    """The sums of dates and of periods of the other dates, which make up all; and the flow."""
    movements = by_transaction(f"address = '{address}'{_not_on(days)}")
    periods = ask(
        f"SELECT {_start(FLOW_SECONDS)}, {SUMS} FROM ({movements}) GROUP BY 1", "movements"
    )
    flow = [flow for day in days for flow in day.flow]
    flow += [Flow(row.pop("start"), row["received"], row["spent"]) for row in periods]
    return [*(day.sums for day in days), *(AddressSums(**row) for row in periods)], flow


def _not_on(days: Sequence[AddressDay]) -> str:
    """The condition that leaves out the dates that are already summed."""
    dates = ", ".join(f"DATE '{day.date}'" for day in days)
    return f" AND date NOT IN ({dates})" if days else ""


def _added(parts: Sequence[AddressSums]) -> AddressSums:
    """The sums over several periods, at least one."""
    transactions, received, spent, *times = zip(*parts, strict=True)
    first_seen, last_seen, first_append, last_append = times
    return AddressSums(
        *(sum(transactions), sum(received), sum(spent)),
        *(min(first_seen), max(last_seen), min(first_append), max(last_append)),
    )


def _sums_of(rows: list[Row]) -> AddressSums | None:
    """The same sums from all transactions of an address, which saves reading it again."""
    if not rows:
        return None
    seen, appended = ([row[name] for row in rows] for name in ("event_time", "append_time"))
    return AddressSums(
        len(rows),
        sum(row["received"] for row in rows),
        sum(row["spent"] for row in rows),
        *(min(seen), max(seen), min(appended), max(appended)),
    )


def address_flags(
    ask: Ask, address: str, sums: AddressSums, days: Sequence[AddressDay] = ()
) -> tuple[int, list[Flag]]:
    """How many transactions of an address are flagged, and the newest `MOST_FLAGS` of them.

    `days` are those of its dates that are already summed.
    """
    first, last = sums.first_append.date(), sums.last_append.date()
    dates = f"date BETWEEN DATE '{first}' AND DATE '{last}'{_not_on(days)}"
    flagged = (
        f"FROM scored_transactions WHERE {dates} AND is_anomaly AND hash IN"
        f" (SELECT hash FROM movements WHERE {dates} AND address = '{address}')"
    )
    rows = ask(
        f"SELECT hash, event_time, count(*) OVER () AS flagged {flagged}"
        f" ORDER BY event_time DESC, hash LIMIT {MOST_FLAGS}",
        "scored_transactions",
        "movements",
    )
    flags = [Flag(row["hash"], row["event_time"]) for row in rows]
    flags += [flag for day in days for flag in day.flags]
    flags.sort(key=lambda flag: flag.hash)
    flags.sort(key=lambda flag: flag.event_time, reverse=True)
    count = (rows[0]["flagged"] if rows else 0) + sum(day.flagged for day in days)
    return count, flags[:MOST_FLAGS]


def address_flow(ask: Ask, address: str, seconds: int) -> list[Flow]:
    """What an address received and spent by periods of so many seconds of event time, in order."""
    movements = by_transaction(f"address = '{address}'")
    rows = ask(
        f"SELECT {flow_columns(seconds)} FROM ({movements}) GROUP BY 1 ORDER BY 1", "movements"
    )
    return [Flow(**row) for row in rows]


def flow_columns(seconds: int) -> str:
    """The columns of `Flow` over rows of `by_transaction`, grouped by the first."""
    return f"{_start(seconds)}, sum(received) AS received, sum(spent) AS spent"


def _start(seconds: int) -> str:
    return f"date_bin(INTERVAL '{seconds} seconds', event_time) AS start"


def flow_of(transactions: Iterable[AddressTransaction], seconds: int) -> list[Flow]:
    """The same flow from all transactions of an address."""
    return by_period(
        ((each.event_time, each.received, each.spent) for each in transactions), seconds
    )


def by_period(amounts: Iterable[tuple[datetime, int, int]], seconds: int) -> list[Flow]:
    """Times with what was received and spent, or shorter periods of a flow, by periods in order."""
    periods: dict[int, tuple[int, int]] = {}
    for at, more_received, more_spent in amounts:
        period = int(at.timestamp() // seconds)
        received, spent = periods.get(period, (0, 0))
        periods[period] = (received + more_received, spent + more_spent)
    return [
        Flow(datetime.fromtimestamp(period * seconds, UTC), *amounts)
        for period, amounts in sorted(periods.items())
    ]


SUMS = (
    "count(*) AS transactions, sum(received) AS received, sum(spent) AS spent,"
    " min(event_time) AS first_seen, max(event_time) AS last_seen,"
    " min(append_time) AS first_append, max(append_time) AS last_append"
)
"""The columns of `AddressSums` over rows of `by_transaction`."""


def by_transaction(where: str, key: str = "hash") -> str:
    """A row for each transaction, from each of the movements of a condition once.

    The key `address, hash` gives a row for each address of each transaction.
    """
    once = (
        f"SELECT {key}, spent, position, min(value) AS value, min(event_time) AS event_time,"
        f" min(append_time) AS append_time FROM movements WHERE {where}"
        f" GROUP BY {key}, spent, position"
    )
    return (
        f"SELECT {key}, min(event_time) AS event_time, min(append_time) AS append_time,"
        " sum(CASE WHEN spent THEN 0 ELSE value END) AS received,"
        f" sum(CASE WHEN spent THEN value ELSE 0 END) AS spent FROM ({once}) GROUP BY {key}"
    )
