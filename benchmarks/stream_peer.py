"""The peer of the stream's benchmark: the same with Spark's own means, in the shortest form.

Kafka, `from_json`, `dropDuplicatesWithinWatermark` on RocksDB, one Delta table. It does
not check bounds, keep rejects or score, and a lost checkpoint doubles its rows.
"""

import sys
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import functions as F  # noqa: N812
from tests.support.stream_processes import StreamProcess

from core.lake import open_or_create_table, table_uri
from core.settings import DataSettings, KafkaSettings, StreamSettings
from core.tables import OBSERVED, TIMESTAMP
from core.topics import TRANSACTIONS
from data_processing.lake_tables import spark_schema
from data_processing.session import start_session


@dataclass
class PeerProcess(StreamProcess):
    """The peer as a process."""

    table: str = "peer"

    def command(self) -> list[str]:
        """What starts it."""
        return [sys.executable, "-m", "benchmarks.stream_peer"]


def run(data: DataSettings, servers: str, settings: StreamSettings) -> None:
    """Copy the topic to a table until killed."""
    fields = [field.with_nullable(True) for field in OBSERVED]
    arrived = pa.field("timestamp", TIMESTAMP)
    open_or_create_table(data.lake, "peer", pa.schema([*fields, arrived]), data.data_origin)
    hadoop = {  # the file systems that RocksDB's state store needs
        "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.LocalFileSystem",
        "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.LocalFs",
    }
    settings = settings.model_copy(update={"spark_ui_port": 0})
    spark = start_session(settings, "127.0.0.1", overrides=hadoop)
    provider = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    spark.conf.set("spark.sql.streaming.stateStore.providerClass", provider)
    reader = spark.readStream.format("kafka").option("kafka.bootstrap.servers", servers)
    reader = reader.option("subscribe", TRANSACTIONS).option("startingOffsets", "earliest")
    records = reader.option("maxOffsetsPerTrigger", settings.max_batch_records).load()
    transaction = F.from_json(F.col("value").cast("string"), spark_schema(pa.schema(fields)))
    rows = records.select(transaction.alias("t"), "timestamp")
    distinct = (
        rows.select("t.*", "timestamp")
        .withWatermark("timestamp", "24 hours")
        .dropDuplicatesWithinWatermark(["hash"])
    )
    writer = distinct.writeStream.format("delta")
    writer = writer.option("checkpointLocation", str(data.data_dir / "check"))
    writer.start(table_uri(data.lake, "peer")).awaitTermination()


if __name__ == "__main__":
    run(DataSettings(), KafkaSettings().bootstrap_servers, StreamSettings())
