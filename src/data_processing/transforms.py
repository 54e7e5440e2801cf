"""From a frame of arrivals to the frames of the tables: pure, each ends with its schema."""

from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.tables import CONFIRMATIONS, QUARANTINE, RAW_TRANSACTIONS, SCORED_TRANSACTIONS


def without(arrived: DataFrame, repeats: DataFrame) -> DataFrame:
    """Leave out the records named by `repeats` (topic, partition, offset); few, so broadcast."""
    return arrived.join(F.broadcast(repeats), ["topic", "partition", "offset"], "left_anti")


def raw_rows(arrived: DataFrame) -> DataFrame:
    """The transactions among the arrivals, as `raw_transactions` has them."""
    return arrived.where("key IS NOT NULL").select(*RAW_TRANSACTIONS.names)


def rejected_rows(arrived: DataFrame) -> DataFrame:
    """The refused records, as `quarantine` has them."""
    return arrived.where("reason IS NOT NULL").select(*QUARANTINE.names)


def scored_rows(judged: DataFrame, scored_at: datetime) -> DataFrame:
    """Rows with a verdict, as `scored_transactions` has them."""
    rows = judged.where("anomaly_score IS NOT NULL")
    rows = rows.withColumn("fee_rate", F.col("fee") * F.lit(4.0) / F.col("weight"))
    rows = rows.withColumn("scored_at", F.lit(scored_at))
    return rows.select(*SCORED_TRANSACTIONS.names)


def confirmed_rows(arrived: DataFrame) -> DataFrame:
    """A row for each transaction of each block among the arrivals, as `confirmations` has them."""
    blocks = arrived.where("block_hash IS NOT NULL")
    rows = blocks.withColumn("hash", F.explode("transaction_hashes"))
    return rows.select(*CONFIRMATIONS.names)


def receipts(arrived: DataFrame) -> DataFrame:
    """What the driver decides by: the small columns of every record."""
    return arrived.select(
        *("topic", "partition", "offset", "append_time", "event_time", "key", "kind"),
        *("hash", "fee", "spent_outpoints", "is_anomaly", "anomaly_score"),
        *("block_hash", "previous_hash", "block_height"),
        F.size("transaction_hashes").alias("transactions"),
    )
