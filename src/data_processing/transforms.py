"""Selects the rows of each table from a frame of parsed records: pure functions of frames."""

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.tables import (
    CONFIRMATIONS,
    QUARANTINE,
    RAW_TRANSACTIONS,
    SCORED_TRANSACTIONS,
    UNSCORED,
)
from core.transaction import COINBASE_SQL, NUMERIC_FIELDS


def receipts(parsed: DataFrame) -> DataFrame:
    """The small columns of every record, by which the driver decides what is new.

    `fee_rate` is in sat/vB, and null for a coinbase transaction, which pays none.
    """
    fee_rate = F.when(F.expr(f"NOT {COINBASE_SQL}"), F.col("fee") * 4.0 / F.col("weight"))
    return parsed.select(
        *("topic", "partition", "offset", "append_time", "event_time", "key", "kind"),
        *("hash", "fee", "spent_outpoints", fee_rate.alias("fee_rate")),
        *("input_addresses", "input_values", "output_addresses", "output_values"),
        *(name for name in NUMERIC_FIELDS if name != "fee"),
        *("block_hash", "previous_hash", "block_height"),
        F.size("transaction_hashes").alias("transactions"),
    )


def without(parsed: DataFrame, repeats: DataFrame) -> DataFrame:
    """Leave out the records in `repeats` (topic, partition, offset), which are few: broadcast."""
    return parsed.join(F.broadcast(repeats), ["topic", "partition", "offset"], "left_anti")


def raw_rows(parsed: DataFrame) -> DataFrame:
    """The transactions, with the columns of `raw_transactions`."""
    return parsed.where("key IS NOT NULL").select(*RAW_TRANSACTIONS.names)


def rejected_rows(parsed: DataFrame) -> DataFrame:
    """The rejects, with the columns of `quarantine`."""
    return parsed.where("reason IS NOT NULL").select(*QUARANTINE.names)


def unscored_rows(parsed: DataFrame) -> DataFrame:
    """The transactions, with what their scores are computed from and what is kept beside them."""
    return parsed.where("key IS NOT NULL").select(*UNSCORED.names)


def scored_rows(scored: DataFrame, scored_at: datetime) -> DataFrame:
    """Rows with a verdict, with the columns of `scored_transactions`."""
    rows = scored.withColumn("fee_rate", F.col("fee") * F.lit(4.0) / F.col("weight"))
    rows = rows.withColumn("scored_at", F.lit(scored_at))
    return rows.select(*SCORED_TRANSACTIONS.names)


def confirmed_rows(parsed: DataFrame) -> DataFrame:
    """A row for each transaction of each block, with the columns of `confirmations`."""
    blocks = parsed.where("block_hash IS NOT NULL")
    rows = blocks.withColumn("hash", F.explode("transaction_hashes"))
    return rows.select(*CONFIRMATIONS.names)
