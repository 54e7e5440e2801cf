"""The columns of every Delta table, as Arrow schemas, for the stream and all readers.

Times are UTC microseconds. `append_time` is when Kafka appended the record; `date` is its day, by
which every table is partitioned. `event_time` is the transaction's time where it is plausible.
"""

from datetime import timedelta
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pyarrow as pa

from core.transaction import (
    NUMERIC_FIELDS,
    PATTERN_FACTS,
    DescribedTransaction,
    ObservedTransaction,
)

TIMESTAMP = pa.timestamp("us", tz="UTC")
EVENT_BEFORE, EVENT_AFTER = timedelta(days=7), timedelta(hours=2)
"""How long before and after its `append_time` an event time is plausible."""

PARTITION = pa.field("date", pa.date32(), nullable=False)
_ARROW = {int: pa.int64(), str: pa.string(), bool: pa.bool_()}


def _arrow_type(annotation: Any) -> pa.DataType:
    """The Arrow type of a field's annotation; a None in a union means nullable, not a type."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _arrow_type(arguments[0])
    if origin in (Union, UnionType):
        return _arrow_type(next(a for a in arguments if a is not type(None)))
    if origin is Literal:
        return pa.string()
    if origin is list:
        return pa.list_(_arrow_type(arguments[0]))
    return _ARROW[annotation]


def _columns(model: type[DescribedTransaction]) -> list[pa.Field]:
    return [
        pa.field(name, _arrow_type(field.annotation), nullable=not field.is_required())
        for name, field in model.model_fields.items()
    ]


OBSERVED = pa.schema(_columns(ObservedTransaction))
"""An `ObservedTransaction` as columns."""

RECEIPT = [
    pa.field("partition", pa.int32(), nullable=False),
    pa.field("offset", pa.int64(), nullable=False),
    pa.field("append_time", TIMESTAMP, nullable=False),
]
"""Where and when Kafka appended the record."""

RAW_TRANSACTIONS = pa.schema(
    [*OBSERVED, pa.field("event_time", TIMESTAMP, nullable=False), *RECEIPT, PARTITION]
)

QUARANTINE = pa.schema(
    [
        pa.field("value", pa.binary()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        *RECEIPT,
        PARTITION,
    ]
)
"""Refused records as they came."""

QUARANTINE_KINDS = ("empty", "not_json", "missing_field", "wrong_type", "out_of_range")
"""The kinds of refusal; `reason` has the sentence."""

REASON = pa.struct(
    [
        pa.field("feature", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("usual_low", pa.float64()),
        pa.field("usual_high", pa.float64()),
        pa.field("contribution", pa.float64()),
    ]
)
"""One reason of a verdict, the columns of `core.detector.verdict.Reason`."""

VERDICT = pa.schema(
    [
        pa.field("anomaly_score", pa.float64(), nullable=False),
        pa.field("percentile", pa.float64(), nullable=False),
        pa.field("threshold", pa.float64(), nullable=False),
        pa.field("is_anomaly", pa.bool_(), nullable=False),
        pa.field("pattern", pa.string()),
        pa.field("reasons", pa.list_(REASON), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("flagged_by", pa.string()),
        pa.field("market_fee_rate", pa.float64()),
        pa.field("package_fee_rate", pa.float64()),
        pa.field("replaced_fee", pa.int64()),
        pa.field("patterns", pa.list_(pa.string())),
    ]
)
"""The champion's verdict on one transaction, the columns of `core.detector.verdict.Verdict`.

`pattern` is the first of `patterns`; rows of earlier versions have it alone.
"""

SCORED_TRANSACTIONS = pa.schema(
    [
        pa.field("hash", pa.string(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in NUMERIC_FIELDS),
        pa.field("fee_rate", pa.float64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("block_height", pa.int64()),
        pa.field("event_time", TIMESTAMP, nullable=False),
        pa.field("append_time", TIMESTAMP, nullable=False),
        *VERDICT,
        pa.field("scored_at", TIMESTAMP, nullable=False),
        PARTITION,
    ]
)

UNSCORED = pa.schema(
    [
        field
        for field in RAW_TRANSACTIONS
        if field.name in {*SCORED_TRANSACTIONS.names, *PATTERN_FACTS}
    ]
)
"""What a score is made from: the columns that are kept beside it, and the facts of patterns."""

TRANSACTION_STATS = pa.schema(
    [
        pa.field("window_start", TIMESTAMP, nullable=False),
        pa.field("window_end", TIMESTAMP, nullable=False),
        pa.field("transactions", pa.int64(), nullable=False),
        pa.field("volume", pa.int64(), nullable=False),
        pa.field("fees", pa.int64(), nullable=False),
        *(
            pa.field(f"fee_rate_p{p}", pa.float64(), nullable=False)
            for p in (10, 25, 50, 75, 90, 99)
        ),
        pa.field("anomalies", pa.int64(), nullable=False),
        PARTITION,
    ]
)
"""Ten-minute windows of event time; volume and fees in satoshi, fee rates in sat/vB."""

CONFIRMATIONS = pa.schema(
    [
        pa.field("hash", pa.string(), nullable=False),
        pa.field("block_height", pa.int64(), nullable=False),
        pa.field("block_hash", pa.string(), nullable=False),
        pa.field("block_time", TIMESTAMP, nullable=False),
        pa.field("append_time", TIMESTAMP, nullable=False),
        PARTITION,
    ]
)

REPLACEMENTS = pa.schema(
    [
        pa.field("outpoint", pa.string(), nullable=False),
        pa.field("hash", pa.string(), nullable=False),
        pa.field("replaced_hash", pa.string(), nullable=False),
        pa.field("fee", pa.int64(), nullable=False),
        pa.field("replaced_fee", pa.int64(), nullable=False),
        pa.field("fee_change", pa.int64(), nullable=False),
        pa.field("append_time", TIMESTAMP, nullable=False),
        PARTITION,
    ]
)
"""Two transactions that spend one outpoint; `hash` is the later one; fees in satoshi."""

MARKET = pa.schema(
    [
        pa.field("minute", TIMESTAMP, nullable=False),
        pa.field("fee_rate", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        PARTITION,
    ]
)
"""The market of each minute of append time, the columns of `core.market.Market`; sat/vB."""

MOVEMENTS = pa.schema(
    [
        pa.field("address", pa.string(), nullable=False),
        pa.field("hash", pa.string(), nullable=False),
        pa.field("spent", pa.bool_(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("value", pa.int64(), nullable=False),
        pa.field("event_time", TIMESTAMP, nullable=False),
        pa.field("append_time", TIMESTAMP, nullable=False),
        PARTITION,
    ]
)
"""One row for each input and output that is kept of a transaction: the index by address.

`spent` says whether the address spends (an input) or is paid (an output); `position` is that of the
input or output; `value` in satoshi. It is written before `raw_transactions`, so after a crash a row
may be there twice: readers take each (hash, spent, position) once.
"""

FLAG = pa.struct([pa.field("hash", pa.string()), pa.field("event_time", TIMESTAMP)])
FLOW = pa.struct(
    [
        pa.field("start", TIMESTAMP),
        pa.field("received", pa.int64()),
        pa.field("spent", pa.int64()),
    ]
)

ADDRESS_DAYS = pa.schema(
    [
        pa.field("address", pa.string(), nullable=False),
        *(pa.field(n, pa.int64(), nullable=False) for n in ("transactions", "received", "spent")),
        *(
            pa.field(name, TIMESTAMP, nullable=False)
            for name in ("first_seen", "last_seen", "first_append", "last_append")
        ),
        pa.field("flagged", pa.int64(), nullable=False),
        pa.field("flags", pa.list_(FLAG), nullable=False),
        pa.field("flow", pa.list_(FLOW), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in ("movements", "scores")),
        PARTITION,
    ]
)
"""What a busy address did on a date that has ended (`core.address_days`); amounts in satoshi.

`movements` and `scores` are how many rows that date had in `movements` and `scored_transactions`
when it was summed: with another number there now, the row does not hold.
"""

WATCH_MATCH = pa.struct(
    [
        pa.field("entry", pa.string()),
        pa.field("name", pa.string()),
        pa.field("severity", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("what", pa.string()),
        pa.field("value", pa.int64()),
    ]
)
"""An entry of the watch list and what it did in a transaction; `value` in satoshi, or null."""

WATCHED = pa.schema(
    [
        pa.field("hash", pa.string(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in NUMERIC_FIELDS),
        pa.field("event_time", TIMESTAMP, nullable=False),
        pa.field("append_time", TIMESTAMP, nullable=False),
        pa.field("watched", pa.list_(WATCH_MATCH), nullable=False),
        pa.field("watched_count", pa.int64(), nullable=False),
        pa.field("watch_severity", pa.string(), nullable=False),
        pa.field("replaces", pa.list_(pa.string()), nullable=False),
        pa.field("matched_at", TIMESTAMP, nullable=False),
        PARTITION,
    ]
)
"""Transactions that touch the watch list, each once, as the list was when they came.

`watched` has the most severe matches and `watched_count` the number of all; `replaces` the hashes
of what the transaction replaces. It is written before `raw_transactions`.
"""

TABLES = {
    "raw_transactions": RAW_TRANSACTIONS,
    "quarantine": QUARANTINE,
    "transaction_stats": TRANSACTION_STATS,
    "scored_transactions": SCORED_TRANSACTIONS,
    "confirmations": CONFIRMATIONS,
    "replacements": REPLACEMENTS,
    "market": MARKET,
    "movements": MOVEMENTS,
    "address_days": ADDRESS_DAYS,
    "watched": WATCHED,
}
"""Every table by its name."""

Engine = Literal["spark", "delta-rs"]

ENGINES: dict[str, Engine] = {
    "raw_transactions": "spark",
    "quarantine": "spark",
    "scored_transactions": "spark",
    "confirmations": "spark",
    "transaction_stats": "delta-rs",
    "replacements": "delta-rs",
    "market": "delta-rs",
    "movements": "delta-rs",
    "address_days": "delta-rs",
    "watched": "delta-rs",
}
"""What writes the rows of each table: Spark what its workers made, delta-rs what the driver has.

The two refuse a version that is there in different ways, so no table takes rows from both. What
delta-rs does with the tables of Spark, which is to compact, to delete and to repair, it does
between micro-batches in the stream's own process.
"""
