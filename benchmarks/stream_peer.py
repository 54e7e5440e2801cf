"""The peer of the stream's benchmark: the same with Spark's own means, in the shortest form.

Kafka, `from_json`, `dropDuplicatesWithinWatermark` on RocksDB, one Delta table. It does
not check bounds, keep rejects or score, and a lost checkpoint doubles its rows.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyspark.sql import functions as F  # noqa: N812
from tests.support.stream_processes import StreamProcess

from core.settings import ROOT, DataSettings, KafkaSettings, StreamSettings
from core.tables import OBSERVED
from core.topics import TRANSACTIONS
from data_processing.lake_tables import spark_schema
from data_processing.session import start_session


@dataclass
class PeerProcess(StreamProcess):
    """The peer as a process."""

    table: str = "peer"

    def start(self) -> None:
        """Start it."""
        environment = os.environ | {
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            "DATA_DIR": str(self.data),
            "KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "SPARK_MASTER": "local[2]",
        }
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.stream_peer"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def run(data: Path, servers: str, settings: StreamSettings) -> None:
    """Copy the topic to a table until killed."""
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
    schema = spark_schema(pa.schema([field.with_nullable(True) for field in OBSERVED]))
    rows = records.select(
        F.from_json(F.col("value").cast("string"), schema).alias("t"), "timestamp"
    )
    distinct = (
        rows.select("t.*", "timestamp")
        .withWatermark("timestamp", "24 hours")
        .dropDuplicatesWithinWatermark(["hash"])
    )
    writer = distinct.writeStream.format("delta").option("checkpointLocation", str(data / "check"))
    writer.start(str(data / "lake" / "peer")).awaitTermination()


if __name__ == "__main__":
    run(DataSettings().data_dir, KafkaSettings().bootstrap_servers, StreamSettings())
