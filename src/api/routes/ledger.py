"""What the lake has of one transaction, and of one address."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, cast

from fastapi import APIRouter, HTTPException, Path, Query

from api.cursors import Cursor, InvalidCursorError, read_cursor, write_cursor
from api.errors import error_responses
from api.lake_reads import LakeReads
from api.ledger_schemas import AddressSeen, Confirmed, RelativeSeen, Replaced, TransactionSeen
from api.routes.anomalies import anomaly
from core.address_days import address_days
from core.address_history import (
    Place,
    address_flags,
    address_history,
    address_type,
    canonical,
    lake_since,
)
from core.open_tables import OpenTables
from core.tables import EVENT_AFTER
from core.transaction import (
    MAX_ADDRESS,
    DescribedTransaction,
    Transaction,
)
from core.transaction_details import (
    INSIDE_COLUMNS,
    Relative,
    Row,
    children,
    find_transaction,
    flags_of,
    inside_of,
    parents,
    rows_by_hash,
)

MAX_OF_ADDRESS = 1_000
"""Transactions of an address in one page."""

_MOST_REPLACEMENTS = 20
_FACTS = [
    name
    for name in DescribedTransaction.model_fields
    if name not in {*Transaction.model_fields, *INSIDE_COLUMNS}
]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MICROS = (datetime(2200, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)

HashOfPath = Annotated[
    str, Path(pattern=r"^[0-9a-f]{64}$", description="Transaction id: 64 hexadecimal digits")
]
AddressOfPath = Annotated[
    str,
    Path(
        pattern=rf"^[0-9A-Za-z]{{1,{MAX_ADDRESS}}}$",
        description="An address; of an output without one, the hexadecimal digits of its script",
    ),
]
Limit = Annotated[
    int, Query(ge=1, le=MAX_OF_ADDRESS, description="Most transactions in the answer")
]


class Ledger:
    """Answers about transactions and addresses from the tables of one lake.

    Both raise as `OpenTables.ask` does.
    """

    def __init__(self, tables: OpenTables) -> None:
        self._tables, self._ask = tables, tables.ask

    def transaction(self, hash: str) -> TransactionSeen | None:
        """A transaction with its relatives; None where the lake does not have it."""
        row = find_transaction(self._ask, hash)
        if row is None:
            return None
        inside, appended = inside_of(row), row["append_time"]
        above = parents(self._ask, inside, appended)
        below = children(self._ask, hash, inside, appended)
        flags = flags_of(self._ask, {each.hash: each.append_time for each in above + below})
        scored = rows_by_hash(self._ask, "scored_transactions", "*", {hash: appended})
        numbers: Any = {name: row[name] for name in Transaction.model_fields if name != "hash"}
        found = {
            "transaction_hash": hash,
            "event_time": row["event_time"],
            "append_time": appended,
            "source": row["source"],
            "block_height": row["block_height"],
            **numbers,
            "fee_rate": row["fee"] * 4 / row["weight"],
            "facts": {name: row[name] for name in _FACTS},
            "inputs": _as_dicts(inside.inputs),
            "inputs_cut": inside.inputs_cut,
            "outputs": _as_dicts(inside.outputs),
            "outputs_cut": inside.outputs_cut,
            "verdict": anomaly(scored[0]) if scored else None,
            "confirmation": self._confirmation(row),
            "replacements": self._replacements(row),
            "parents": [_relative(each, flags) for each in above],
            "children": [_relative(each, flags) for each in below],
        }
        return cast(TransactionSeen, found)

    def address(self, address: str, limit: int, cursor: str | None) -> AddressSeen | None:
        """An address with a page of its transactions; None where the lake has not seen it.

        Raises `InvalidCursorError` too.
        """
        question = f"address {address}"
        before = None if cursor is None else _place(cursor, question)
        movements, scores = map(self._tables.rows_by_date, ("movements", "scored_transactions"))
        days = address_days(self._ask, address, movements, scores, flow=False)
        found = address_history(self._ask, address, limit + 1, before, days)
        since = lake_since(self._ask, movements)
        if since is None or found is None:
            return None
        sums, transactions, _ = found
        flagged, _ = address_flags(self._ask, address, sums, days)
        page = transactions[:limit]
        following = None
        if len(transactions) > limit:
            micros = (page[-1].append_time - _EPOCH) // timedelta(microseconds=1)
            following = write_cursor((micros, page[-1].hash), question)
        return {
            "address": address,
            "type": address_type(address),
            "since": since,
            "first_seen": sums.first_seen,
            "last_seen": sums.last_seen,
            "transactions_count": sums.transactions,
            "received": sums.received,
            "spent": sums.spent,
            "flagged_count": flagged,
            "transactions": [
                {
                    "transaction_hash": each.hash,
                    "event_time": each.event_time,
                    "received": each.received,
                    "spent": each.spent,
                    "is_anomaly": each.is_anomaly,
                }
                for each in page
            ],
            "next": following,
        }

    def _confirmation(self, row: Row) -> Confirmed | None:
        rows = self._ask(
            "SELECT block_height, block_hash, block_time FROM confirmations"
            f" WHERE {_since(row)} AND hash = '{row['hash']}' ORDER BY append_time DESC LIMIT 1",
            "confirmations",
        )
        return Confirmed(**rows[0]) if rows else None  # type: ignore[typeddict-item]

    def _replacements(self, row: Row) -> list[Replaced]:
        hash = row["hash"]
        rows = self._ask(
            "SELECT DISTINCT hash AS transaction_hash, replaced_hash, fee, replaced_fee,"
            f" append_time FROM replacements WHERE {_since(row)}"
            f" AND (hash = '{hash}' OR replaced_hash = '{hash}')"
            f" ORDER BY append_time DESC, 1, 2 LIMIT {_MOST_REPLACEMENTS}",
            "replacements",
        )
        return [Replaced(**each) for each in rows]  # type: ignore[typeddict-item]


def _since(row: Row) -> str:
    """The partitions of what was published after a transaction was first seen."""
    return f"date >= DATE '{(row['event_time'] - EVENT_AFTER).date()}'"


def _as_dicts(sides: Sequence[Any] | None) -> Any:
    return None if sides is None else [side._asdict() for side in sides]


def _relative(relative: Relative, flags: dict[str, bool]) -> RelativeSeen:
    return {
        "transaction_hash": relative.hash,
        "append_time": relative.append_time,
        "value": relative.value,
        "is_anomaly": flags.get(relative.hash),
    }


def _place(cursor: str, question: str) -> Place:
    """The place of a cursor; raises `InvalidCursorError`."""
    micros, hash = read_cursor(cursor, question, (int, str))
    if not 0 <= micros <= _LAST_MICROS or len(hash) != 64 or set(hash) - set("0123456789abcdef"):
        raise InvalidCursorError
    return Place(_EPOCH + timedelta(microseconds=micros), hash)


def add_ledger_routes(router: APIRouter, tables: OpenTables, reads: LakeReads) -> None:
    """Add the routes, which read one after the other with all others of `reads`."""
    ledger = Ledger(tables)
    errors = error_responses(401, 403, 404, 422, 500, 503)

    @router.get("/transactions/{hash}", responses=errors, tags=["transactions"])
    async def transaction(hash: HashOfPath) -> TransactionSeen:
        """Return a transaction of the lake: numbers, inputs, outputs, verdict, fate, relatives."""
        found = await reads.run(ledger.transaction, hash)
        if found is None:
            raise HTTPException(404, "The lake does not have this transaction.")
        return found

    @router.get("/addresses/{address}", responses=errors, tags=["addresses"])
    async def address(
        address: AddressOfPath, limit: Limit = 50, cursor: Cursor = None
    ) -> AddressSeen:
        """Return what the lake has seen of an address, with a page of its transactions."""
        found = await reads.run(ledger.address, canonical(address), limit, cursor)
        if found is None:
            raise HTTPException(404, "The lake has not seen this address.")
        return found
