"""The Spark session of the stream: Delta, UTC, few partitions, a bounded heap.

Started by Python it brings the jars itself; started by `spark-submit` it takes what that brought.
"""

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from core.settings import StreamSettings

_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # A log of a few thousand small files: one task reads it faster than fifty.
    "spark.databricks.delta.snapshotPartitions": "1",
    # Checksums of versions would hold the whole list of files, written again with each commit.
    "spark.databricks.delta.writeChecksumFile.enabled": "false",
}

_STEADY = {
    # On a plain disk Hadoop writes a checksum file beside each file, which nobody reads.
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # No two hashes are equal: looking each up in a dictionary first is work for nothing.
    "spark.hadoop.parquet.enable.dictionary#hash": "false",
    # A micro-batch is kept for a second: packing it takes longer than writing it.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "5000",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.streaming.minBatchesToRetain": "20",
    "spark.python.worker.reuse": "true",
    "spark.ui.retainedJobs": "100",
    "spark.ui.retainedStages": "100",
    "spark.ui.retainedTasks": "1000",
    "spark.sql.ui.retainedExecutions": "50",
    "spark.sql.streaming.ui.retainedQueries": "5",
    "spark.cleaner.periodicGC.interval": "10min",
    "spark.metrics.namespace": "bitcoin_stream",
    "spark.ui.showConsoleProgress": "false",
}

_JAVA_OPTIONS = "-XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -Dlog4j2.level=ERROR"


def start_session(settings: StreamSettings, ui_address: str) -> SparkSession:
    """Start Spark; its UI, and on a cluster its driver, listen on `ui_address` alone."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", ui_address)  # Spark binds its UI by nothing else
    builder = SparkSession.builder.appName("bitcoin-stream").master(settings.spark_master)
    for key, value in {**_DELTA, **_STEADY, **_of(settings, ui_address)}.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _of(settings: StreamSettings, address: str) -> dict[str, str]:
    options = {"spark.ui.port": str(settings.spark_ui_port)}
    if settings.spark_master.startswith("local"):
        options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    else:  # of several networks the driver's name may stand for the one without the workers
        options["spark.driver.bindAddress"] = address
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return options  # spark-submit has started Java already, with its own options
    options["spark.driver.memory"] = settings.spark_driver_memory
    options["spark.driver.extraJavaOptions"] = _JAVA_OPTIONS
    if settings.spark_jars_dir is not None:
        options["spark.jars"] = ",".join(map(str, _jars(settings.spark_jars_dir)))
    return options


def _jars(folder: Path) -> list[Path]:
    return sorted(folder.resolve().glob("*.jar"))
