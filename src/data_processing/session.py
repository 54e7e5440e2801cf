"""The Spark session of the stream: Delta, UTC, few partitions, a bounded heap.

Started by Python, the stream brings the jars itself; started by `spark-submit`, it uses those that
`spark-submit` brings.
"""

import os
import sys
from collections.abc import Mapping

from pyspark.sql import SparkSession

from core.object_store import credentials, on_store
from core.settings import StoreSettings, StreamSettings

_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # The log is a few thousand small files: one task reads it faster than fifty.
    "spark.databricks.delta.snapshotPartitions": "1",
    # A version's checksum would hold the whole list of files, written again with each commit.
    "spark.databricks.delta.writeChecksumFile.enabled": "false",
    # Hadoop's `FileContext`, the default of both, runs `readlink` twice for each file it writes,
    # a process each; both look for the file and then rename, one at a time.
    "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
    "spark.sql.streaming.checkpointFileManagerClass": "org.apache.spark.sql.execution.streaming"
    ".checkpointing.FileSystemBasedCheckpointFileManager",
}

_SPARK = {
    # On a plain disk Hadoop writes a checksum file beside each file, which nobody reads.
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Hashes are distinct: a dictionary of them only costs time.
    "spark.hadoop.parquet.enable.dictionary#hash": "false",
    # A micro-batch is cached for a second: compressing it takes longer than writing it.
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

_STORE = {
    # One URI for all: delta-rs says s3, Hadoop s3a. Delta commits to both by a log store that is
    # safe while one driver writes.
    "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
    "spark.hadoop.fs.AbstractFileSystem.s3.impl": "org.apache.hadoop.fs.s3a.S3A",
    # It reads no more than is asked for, and needs no cache.
    "spark.hadoop.fs.s3a.input.stream.type": "classic",
    # What is sent waits in memory. On a disk it would by a file system that `_SPARK` replaces.
    "spark.hadoop.fs.s3a.fast.upload.buffer": "bytebuffer",
}
_FROM_FILE = "org.apache.hadoop.fs.s3a.auth.ProfileAWSCredentialsProvider"

CLASS_ARCHIVE = "spark.jsa"
"""Beside the folder of the jars: the archive of the classes in them (`local/class_archives.py`)."""

_JAVA_OPTIONS = "-XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -Dlog4j2.level=ERROR"


def start_session(
    settings: StreamSettings,
    ui_address: str,
    lake: str = "",
    overrides: Mapping[str, str] | None = None,
) -> SparkSession:
    """Start Spark; its UI, and on a cluster its driver, listen on `ui_address` alone.

    For a `lake` on an object store Spark is given the store's jars and settings. `overrides` are
    Spark options that replace the stream's own.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", ui_address)  # Spark binds its UI by nothing else
    builder = SparkSession.builder.appName("bitcoin-stream").master(settings.spark_master)
    options = {**_DELTA, **_SPARK, **_options_of(settings, ui_address, lake)}
    if on_store(lake):
        options |= store_options(StoreSettings())
    options |= overrides or {}
    for key, value in options.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def store_options(settings: StoreSettings) -> dict[str, str]:
    """How Spark reaches the object store; the workers read the file of credentials too."""
    options = _STORE | {"spark.hadoop.fs.s3a.endpoint.region": settings.s3_region}
    if (endpoint := settings.s3_endpoint_url) is not None:
        options |= {
            "spark.hadoop.fs.s3a.endpoint": endpoint,
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.connection.ssl.enabled": str(endpoint[:6] == "https:").lower(),
        }
    if credentials(settings) is not None:  # by its path: Spark shows its options to who asks
        options |= {
            "spark.hadoop.fs.s3a.aws.credentials.provider": _FROM_FILE,
            "spark.hadoop.fs.s3a.auth.profile.file": str(settings.s3_credentials_file),
            "spark.hadoop.fs.s3a.auth.profile.name": "default",
        }
    return options


def _options_of(settings: StreamSettings, address: str, lake: str) -> dict[str, str]:
    options = {"spark.ui.port": str(settings.spark_ui_port)}
    if settings.spark_master.startswith("local"):
        options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    else:  # on several networks, the driver's host name may be the one that workers cannot reach
        options["spark.driver.bindAddress"] = address
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return options  # spark-submit has started Java already, with its own options
    options["spark.driver.memory"] = settings.spark_driver_memory
    options["spark.driver.extraJavaOptions"] = _JAVA_OPTIONS
    if settings.spark_jars_dir is not None:
        folder = settings.spark_jars_dir.resolve()
        folders = [folder, folder.with_name("s3")] if on_store(lake) else [folder]
        jars = sorted(str(jar) for each in folders for jar in each.glob("*.jar"))
        if not settings.spark_master.startswith("local"):
            return options | {"spark.jars": ",".join(jars)}
        # Of a class path there can be an archive; Java ignores that of another one.
        options["spark.driver.extraClassPath"] = os.pathsep.join(jars)
        if (archive := folder.with_name(CLASS_ARCHIVE)).exists():
            options["spark.driver.extraJavaOptions"] += f" -XX:SharedArchiveFile={archive}"
    return options
