"""Turns Kafka records into rows: each is a transaction, a block or a reject with its reason.

pydantic validates the bytes by the model that ingestion publishes with, so that the two cannot
disagree. Whatever a record holds, it cannot fail a micro-batch. This code runs in Spark's Python
workers.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from core.tables import EVENT_AFTER, EVENT_BEFORE, QUARANTINE, RAW_TRANSACTIONS, TIMESTAMP
from core.topics import BLOCKS
from core.transaction import Block, ObservedTransaction, is_coinbase

MICROS, DAY_MICROS = 1_000_000, 86_400_000_000
"""Microseconds of a second and of a day, in which the times of a row are given."""

KEY_BYTES = 16
"""Half a transaction's hash: nobody can make two transactions that share it."""

_BEFORE, _AFTER = EVENT_BEFORE.total_seconds(), EVENT_AFTER.total_seconds()
_MAX_REASON = 500
_TRANSACTION = TypeAdapter(ObservedTransaction)
_BLOCK = TypeAdapter(Block)
_KINDS = {"json_invalid": "not_json", "json_type": "not_json", "missing": "missing_field"}
_BOUNDS = (
    *("greater_than", "less_than", "too_", "string_too", "string_pattern", "literal_error"),
    "coinbase_unconfirmed",
)


def _nullable(schema: pa.Schema) -> list[pa.Field]:
    return [field.with_nullable(True) for field in schema]


PARSED_RECORDS = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        *_nullable(RAW_TRANSACTIONS),
        pa.field("key", pa.binary()),
        pa.field("fee_rate", pa.float64()),
        pa.field("block_hash", pa.string()),
        pa.field("previous_hash", pa.string()),
        pa.field("block_time", TIMESTAMP),
        pa.field("transaction_hashes", pa.list_(pa.string())),
        pa.field("transactions", pa.int32()),
        pa.field("kind", pa.string()),
        pa.field("reason", QUARANTINE.field("reason").type),
        pa.field("value", pa.binary()),
    ]
)
"""One row a record. A transaction has its columns, `key` and `fee_rate`, in sat/vB and null for a
coinbase, which pays none. A block has `block_height` and the columns from `block_hash` to
`transactions`, their number. A reject has `kind`, `reason` and the `value` as published. All other
columns of a row are null."""


@dataclass(frozen=True)
class Reject:
    """Why a record is neither a transaction nor a block; `kind` is one of `QUARANTINE_KINDS`."""

    kind: str
    reason: str


def parse(topic: str, value: bytes | None) -> ObservedTransaction | Block | Reject:
    """Parse and validate one record of `bitcoin-transactions` or `bitcoin-blocks`.

    >>> parse("bitcoin-transactions", b'{"hash": null}').kind
    'missing_field'
    """
    if not value:
        return Reject("empty", "the record is empty" if value is not None else "no value")
    try:
        return (_BLOCK if topic == BLOCKS else _TRANSACTION).validate_json(value)
    except ValidationError as error:
        return _reject(error)


def _reject(error: ValidationError) -> Reject:
    """The first error of a record, a missing field before others, and how many more there are."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    first = max(errors, key=lambda each: each["type"] == "missing")
    where = ".".join(map(str, first["loc"]))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    reason = f"{where}: {first['msg']}{more}" if where else first["msg"]
    default = "out_of_range" if first["type"].startswith(_BOUNDS) else "wrong_type"
    kind = _KINDS.get(first["type"], default)
    return Reject(kind, reason.encode("utf-8", "replace").decode()[:_MAX_REASON])


def event_seconds(claimed: int | None, appended: float) -> float:
    """A transaction's event time in Unix seconds: its own where plausible, else Kafka's append.

    >>> event_seconds(0, 1_800_000_000.0)
    1800000000.0
    """
    if claimed is None:
        return appended
    plausible = appended - _BEFORE <= claimed <= appended + _AFTER
    return float(claimed) if plausible else appended


def parse_batch(batch: pa.RecordBatch) -> pa.Table:
    """Parse and validate Kafka records to `PARSED_RECORDS`.

    `batch` has `topic`, `partition`, `offset`, `timestamp` and `value`.
    """
    records = batch.select(["topic", "partition", "offset", "value"]).to_pylist()
    appended = batch["timestamp"].cast(pa.int64()).to_pylist()  # as numbers, since there are many
    return pa.Table.from_pylist(list(map(_row, records, appended)), schema=PARSED_RECORDS)


def _row(record: dict[str, Any], appended: int) -> dict[str, Any]:
    """A record's columns; `appended` in microseconds since 1970, UTC, as are the times of a row."""
    value = record["value"]
    row = {name: record[name] for name in ("topic", "partition", "offset")}
    row |= {"append_time": appended, "date": appended // DAY_MICROS}
    parsed = parse(record["topic"], value)
    if isinstance(parsed, Reject):
        return row | {"kind": parsed.kind, "reason": parsed.reason, "value": value}
    if isinstance(parsed, Block):
        return row | {
            "block_hash": parsed.hash,
            "previous_hash": parsed.previous_hash,
            "block_height": parsed.height,
            "block_time": parsed.time * MICROS,
            "transaction_hashes": parsed.transaction_hashes,
            "transactions": len(parsed.transaction_hashes),
        }
    at = event_seconds(parsed.time, appended / MICROS)
    return {
        **parsed.__dict__,
        **row,
        "key": bytes.fromhex(parsed.hash[: 2 * KEY_BYTES]),
        "fee_rate": None if _creates_coins(parsed) else parsed.fee_rate,
        "event_time": round(at * MICROS),
    }


def _creates_coins(transaction: ObservedTransaction) -> bool:
    return bool(
        is_coinbase(
            fee=transaction.fee,
            inputs_count=transaction.inputs_count,
            input_value=transaction.input_value,
            output_value=transaction.output_value,
        )
    )
