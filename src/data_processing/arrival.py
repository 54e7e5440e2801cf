"""From Kafka's records to columns, in Spark's Python workers: parse, validate, judge.

Validation is pydantic's own on the bytes, by the model that ingestion publishes with, so that the
stream cannot differ from it. Nothing that a record holds can stop a batch: a record is a
transaction, a block or a reject with its reason.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from core.detector.champion import Champion
from core.tables import EVENT_AFTER, EVENT_BEFORE, QUARANTINE, RAW_TRANSACTIONS, TIMESTAMP, VERDICT
from core.topics import BLOCKS
from core.transaction import Block, ObservedTransaction

KEY_BYTES = 16
"""Half a transaction's hash: enough that nobody can make two that share it."""

_BEFORE, _AFTER = EVENT_BEFORE.total_seconds(), EVENT_AFTER.total_seconds()
_MAX_REASON = 500
_TRANSACTION = TypeAdapter(ObservedTransaction)
_BLOCK = TypeAdapter(Block)
_KINDS = {"json_invalid": "not_json", "json_type": "not_json", "missing": "missing_field"}
_BOUNDS = ("greater_than", "less_than", "too_", "string_too", "string_pattern", "literal_error")


def _nullable(schema: pa.Schema) -> list[pa.Field]:
    return [field.with_nullable(True) for field in schema]


ARRIVALS = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        *_nullable(RAW_TRANSACTIONS),
        *_nullable(VERDICT),
        pa.field("key", pa.binary()),
        pa.field("block_hash", pa.string()),
        pa.field("previous_hash", pa.string()),
        pa.field("block_time", TIMESTAMP),
        pa.field("transaction_hashes", pa.list_(pa.string())),
        pa.field("kind", pa.string()),
        pa.field("reason", QUARANTINE.field("reason").type),
        pa.field("value", pa.binary()),
    ]
)
"""One row a record. A transaction has its columns, `key` and, given a champion, a verdict; a
block has `block_height` and the columns from `block_hash` on; a reject has `kind`, `reason` and
the `value` as it came."""

JUDGED = pa.schema([*RAW_TRANSACTIONS, *VERDICT])
"""A row of `raw_transactions` with its verdict."""


@dataclass(frozen=True)
class Refused:
    """A record that is no transaction and no block."""

    kind: str
    reason: str


def read_transaction(value: bytes | None) -> ObservedTransaction | Refused:
    """Read one record of `bitcoin-transactions`.

    >>> read_transaction(b'{"hash": null}').kind
    'missing_field'
    """
    found: ObservedTransaction | Refused = _read(_TRANSACTION, value)
    return found


def read_block(value: bytes | None) -> Block | Refused:
    """Read one record of `bitcoin-blocks`."""
    found: Block | Refused = _read(_BLOCK, value)
    return found


def _read(adapter: TypeAdapter[Any], value: bytes | None) -> Any:
    if not value:
        return Refused("empty", "the record is empty" if value is not None else "no value")
    try:
        return adapter.validate_json(value)
    except ValidationError as error:
        return _refused(error)


def _refused(error: ValidationError) -> Refused:
    """The record's first fault, and how many more there are."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    first = max(faults, key=lambda fault: fault["type"] == "missing")
    where = ".".join(map(str, first["loc"]))
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    reason = f"{where}: {first['msg']}{more}" if where else first["msg"]
    return Refused(_kind(first["type"]), reason.encode("utf-8", "replace").decode()[:_MAX_REASON])


def _kind(fault: str) -> str:
    if fault in _KINDS:
        return _KINDS[fault]
    return "out_of_range" if fault.startswith(_BOUNDS) else "wrong_type"


def event_seconds(claimed: int | None, appended: float) -> float:
    """The time a transaction counts at, Unix seconds: its own where plausible, else Kafka's.

    >>> event_seconds(0, 1_800_000_000.0)
    1800000000.0
    """
    if claimed is None:
        return appended
    plausible = appended - _BEFORE <= claimed <= appended + _AFTER
    return float(claimed) if plausible else appended


def arrivals(champion: Callable[[], Champion | None]) -> Any:
    """The function that turns batches of Kafka's records into batches of `ARRIVALS`.

    `champion` is called in the worker, so that what it returns can be broadcast.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        judge = champion()
        for batch in batches:
            if batch.num_rows:
                yield from _judged(read_batch(batch), judge).to_batches()

    return run


def read_batch(batch: pa.RecordBatch) -> pa.Table:
    """Parse and validate Kafka's records; the verdict columns are null."""
    rows = [_row(record) for record in batch.to_pylist()]
    return pa.Table.from_pylist(rows, schema=ARRIVALS)


def _row(record: dict[str, Any]) -> dict[str, Any]:
    value, appended = record["value"], record["timestamp"].replace(tzinfo=UTC)
    row = {name: record[name] for name in ("topic", "partition", "offset")}
    row |= {"append_time": appended, "date": appended.date()}
    found = read_block(value) if record["topic"] == BLOCKS else read_transaction(value)
    if isinstance(found, Refused):
        return row | {"kind": found.kind, "reason": found.reason, "value": value}
    if isinstance(found, Block):
        return row | _block_columns(found)
    at = event_seconds(found.time, appended.timestamp())
    return {
        **found.__dict__,
        **row,
        "key": bytes.fromhex(found.hash[: 2 * KEY_BYTES]),
        "event_time": datetime.fromtimestamp(at, UTC),
    }


def _block_columns(block: Block) -> dict[str, Any]:
    return {
        "block_hash": block.hash,
        "previous_hash": block.previous_hash,
        "block_height": block.height,
        "block_time": datetime.fromtimestamp(block.time, UTC),
        "transaction_hashes": block.transaction_hashes,
    }


def _judged(table: pa.Table, champion: Champion | None) -> pa.Table:
    """Fill in the verdict columns of the rows that are transactions."""
    if champion is None:
        return table
    is_transaction = table["key"].is_valid()
    transactions = table.filter(is_transaction)
    verdicts = champion.verdicts(transactions)
    for name in VERDICT.names:
        at = transactions.schema.get_field_index(name)
        transactions = transactions.set_column(at, ARRIVALS.field(name), verdicts[name])
    others = table.filter(pa.compute.invert(is_transaction))
    return pa.concat_tables([transactions, others])


def scoring(champion: Callable[[], Champion | None]) -> Any:
    """The function that adds verdicts to batches of `raw_transactions`."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        judge = champion()
        assert judge is not None, "only called with a champion"
        for batch in batches:
            if batch.num_rows:
                verdicts = judge.verdicts(batch)
                columns = [*batch.columns, *(c.combine_chunks() for c in verdicts.columns)]
                yield pa.record_batch(columns, names=[*batch.schema.names, *VERDICT.names])

    return run
