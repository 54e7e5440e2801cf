"""What the lake has seen of one address: its sums, its transactions, its flags, who is beside it.

Everything is read from `movements`, the index by address, and summed by the query engine, so that
an address with a million rows takes no more of Python's memory than one with ten. A row that a
crash left there twice counts once. Addresses are texts of `core.transaction.Address`: whoever takes
one from a stranger validates it first.
"""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from core.blockchain_json.scripts import script_type
from core.lake import sql_time
from core.transaction_details import Ask, Inside, Row, flags_of, insides

MOST_FLAGS = 1_000
"""Flagged transactions of an address that are named, the newest; all are counted."""

MOST_FOR_COUNTERPARTIES = 100
"""Transactions of an address, the newest, whose other sides are read."""

MOST_COUNTERPARTIES = 25
"""Counterparties of each direction that are named, the largest."""

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


class Counterparty(NamedTuple):
    """Another address beside one: satoshi of its inputs or outputs, transactions, the flagged."""

    address: str
    value: int
    transactions: int
    flagged: int


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
    """An address in the form that the lake has: segwit ones in lower case (BIP 173).

    >>> canonical("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4")
    'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4'
    """
    return address.lower() if re.fullmatch("(BC|TB)1[0-9A-Z]+", address) else address


def lake_since(ask: Ask, dates: Collection[str]) -> datetime | None:
    """When Kafka appended the oldest movement of the lake; None while there is none.

    `dates` are those of the partitions of `movements`, as `2026-01-02`.
    """
    if not dates:
        return None
    sql = f"SELECT min(append_time) AS since FROM movements WHERE date = DATE '{min(dates)}'"
    since: datetime | None = ask(sql, "movements")[0]["since"]
    return since


def address_history(
    ask: Ask, address: str, limit: int, before: Place | None = None
) -> tuple[AddressSums, list[AddressTransaction]] | None:
    """The sums of an address, and its newest transactions of those that are older than `before`.

    None for an address that the lake has not seen.
    """
    rows = ask(_newest(address, limit, before), "movements")
    if before is None and len(rows) < limit:
        sums = _sums_of(rows)
    else:
        (summed,) = ask(_all_sums(address), "movements")
        sums = AddressSums(**summed) if summed["transactions"] else None
    if sums is None:
        return None
    flags = flags_of(ask, {row["hash"]: row["append_time"] for row in rows})
    return sums, [AddressTransaction(**row, is_anomaly=flags.get(row["hash"])) for row in rows]


def _newest(address: str, limit: int, before: Place | None) -> str:
    where = ""
    if before is not None:
        at = sql_time(before.append_time)
        where = f" WHERE append_time < {at} OR (append_time = {at} AND hash < '{before.hash}')"
    return (
        f"SELECT * FROM ({_by_transaction(address)}){where}"
        f" ORDER BY append_time DESC, hash DESC LIMIT {limit}"
    )


def _all_sums(address: str) -> str:
    return (
        "SELECT count(*) AS transactions, sum(received) AS received, sum(spent) AS spent,"
        " min(event_time) AS first_seen, max(event_time) AS last_seen,"
        " min(append_time) AS first_append, max(append_time) AS last_append"
        f" FROM ({_by_transaction(address)})"
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


def address_flags(ask: Ask, address: str, sums: AddressSums) -> tuple[int, list[Flag]]:
    """How many transactions of an address are flagged, and the newest `MOST_FLAGS` of them."""
    first, last = sums.first_append.date(), sums.last_append.date()
    days = f"date BETWEEN DATE '{first}' AND DATE '{last}'"
    flagged = (
        f"FROM scored_transactions WHERE {days} AND is_anomaly AND hash IN"
        f" (SELECT hash FROM movements WHERE {days} AND address = '{address}')"
    )
    rows = ask(
        f"SELECT hash, event_time, count(*) OVER () AS flagged {flagged}"
        f" ORDER BY event_time DESC, hash LIMIT {MOST_FLAGS}",
        "scored_transactions",
        "movements",
    )
    flags = [Flag(row["hash"], row["event_time"]) for row in rows]
    return (rows[0]["flagged"] if rows else 0), flags


def address_flow(ask: Ask, address: str, seconds: int) -> list[Flow]:
    """What an address received and spent by periods of so many seconds of event time, in order."""
    rows = ask(
        f"SELECT date_bin(INTERVAL '{seconds} seconds', event_time) AS start,"
        " sum(received) AS received, sum(spent) AS spent"
        f" FROM ({_by_transaction(address)}) GROUP BY 1 ORDER BY 1",
        "movements",
    )
    return [Flow(**row) for row in rows]


def flow_of(transactions: Iterable[AddressTransaction], seconds: int) -> list[Flow]:
    """The same flow from all transactions of an address."""
    periods: dict[int, tuple[int, int]] = {}
    for each in transactions:
        period = int(each.event_time.timestamp() // seconds)
        received, spent = periods.get(period, (0, 0))
        periods[period] = (received + each.received, spent + each.spent)
    return [
        Flow(datetime.fromtimestamp(period * seconds, UTC), *amounts)
        for period, amounts in sorted(periods.items())
    ]


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


def _by_transaction(address: str) -> str:
    """A row for each transaction of an address, from each of its movements once."""
    once = (
        "SELECT hash, spent, position, min(value) AS value, min(event_time) AS event_time,"
        f" min(append_time) AS append_time FROM movements WHERE address = '{address}'"
        " GROUP BY hash, spent, position"
    )
    return (
        "SELECT hash, min(event_time) AS event_time, min(append_time) AS append_time,"
        " sum(CASE WHEN spent THEN 0 ELSE value END) AS received,"
        f" sum(CASE WHEN spent THEN value ELSE 0 END) AS spent FROM ({once}) GROUP BY hash"
    )
