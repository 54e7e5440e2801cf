"""Selects the rows of each table from a frame of parsed records: pure functions of frames.

Columns are named by `selectExpr`: of each name that pyspark's `select` is given it asks Java, which
searches its class path.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.tables import (
    CONFIRMATIONS,
    QUARANTINE,
    RAW_TRANSACTIONS,
    UNSCORED,
)
from core.transaction import NUMERIC_FIELDS
from data_processing.movements import SIDES

RECEIPT_COLUMNS = (
    *("topic", "partition", "offset", "append_time", "event_time", "first_seen", "key", "kind"),
    *("hash", *NUMERIC_FIELDS, "spent_outpoints", "fee_rate", *SIDES),
    *("block_hash", "previous_hash", "block_height", "transactions"),
)
"""Of every record, by which the driver decides what is new, and makes movements."""


def without(parsed: DataFrame, repeats: DataFrame) -> DataFrame:
    """Leave out the records in `repeats` (topic, partition, offset), which are few: broadcast."""
    return parsed.join(F.broadcast(repeats), ["topic", "partition", "offset"], "left_anti")


def raw_rows(parsed: DataFrame) -> DataFrame:
    """The transactions, with the columns of `raw_transactions`."""
    return parsed.where("key IS NOT NULL").selectExpr(*RAW_TRANSACTIONS.names)


def rejected_rows(parsed: DataFrame) -> DataFrame:
    """The rejects, with the columns of `quarantine`."""
    return parsed.where("reason IS NOT NULL").selectExpr(*QUARANTINE.names)


def unscored_rows(parsed: DataFrame) -> DataFrame:
    """The transactions, with what their scores are computed from and what is kept beside them."""
    return parsed.where("key IS NOT NULL").selectExpr(*UNSCORED.names)


def confirmed_rows(parsed: DataFrame) -> DataFrame:
    """A row for each transaction of each block, with the columns of `confirmations`."""
    blocks = parsed.where("block_hash IS NOT NULL")
    rows = blocks.withColumn("hash", F.explode("transaction_hashes"))
    return rows.selectExpr(*CONFIRMATIONS.names)
