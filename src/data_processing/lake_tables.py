"""The Delta tables of one lake: created, checked, written and queried.

Spark writes the rows that its workers made. delta-rs, in this process, writes the small tables that
the driver computes: a Spark job for one row costs seconds of processor time, delta-rs milliseconds.
Every write is one commit of Delta's log: all of its rows are there, or none.

The dashboard and the trainer read with delta-rs, which supports protocol (1, 2) and no later table
feature. A table with one (deletion vectors, column mapping, …) is refused at the start, before a
reader meets it.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from delta.tables import DeltaTable as SparkDeltaTable
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T
from pyspark.sql.pandas.types import from_arrow_schema

from core.lake import (
    add_columns,
    batches,
    missing_columns,
    open_or_create_table,
    open_table,
    query,
    rows_by_date,
    table_uri,
)
from core.tables import ENGINES, TABLES, Engine

log = logging.getLogger(__name__)

PROTOCOL = (1, 2)
"""The reader's and the writer's protocol version of every table."""

_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    # Housekeeping makes the checkpoints: those of Spark would let a micro-batch wait for seconds.
    "delta.checkpointInterval": "1000",
    # Housekeeping clears old versions of the log to the hour; Delta itself counts in days.
    "delta.enableExpiredLogCleanup": "false",
}

_STATISTICS_COLUMNS = "delta.dataSkippingStatsColumns"
"""Minimum and maximum are recorded for timestamps alone: no query skips files by another column,
and recording them for every column is a tenth of the work of a write."""

_ONE_FILE_ROWS = 20_000
"""Up to so many rows are written to one file; more are written by all cores."""


class ProtocolError(RuntimeError):
    """A table needs a Delta protocol that its readers do not support."""


def spark_schema(schema: pa.Schema) -> T.StructType:
    """The Spark schema with the same columns."""
    converted = from_arrow_schema(schema)
    assert isinstance(converted, T.StructType)
    return converted


def create_tables(lake: str, origin: str, vacuum_after_hours: int) -> None:
    """Create the missing tables, and bring existing ones to the columns and properties of today.

    Raises `core.lake.OriginMismatchError` for a lake of the other origin, and `ProtocolError`.
    """
    for name, schema in TABLES.items():
        wanted = properties(schema, vacuum_after_hours)
        table = open_or_create_table(lake, name, schema, origin, ["date"], wanted)
        if missing := missing_columns(table, schema):
            add_columns(table, missing)
        check_protocol(table, name)
        _set_changed_properties(table, wanted)


def check_protocol(table: DeltaTable, name: str) -> None:
    """Raise `ProtocolError` unless the table has the protocol `PROTOCOL`."""
    protocol = table.protocol()
    versions = (protocol.min_reader_version, protocol.min_writer_version)
    if versions != PROTOCOL:
        raise ProtocolError(
            f"{name} has Delta protocol {versions}, its readers support {PROTOCOL}: restore it "
            "with DROP FEATURE, or move the table away"
        )


def properties(schema: pa.Schema, vacuum_after_hours: int) -> dict[str, str]:
    """The properties of a table with these columns, beside its origin."""
    timestamps = ",".join(field.name for field in schema if pa.types.is_timestamp(field.type))
    retention = f"interval {vacuum_after_hours} hours"
    return _PROPERTIES | {
        _STATISTICS_COLUMNS: timestamps,
        "delta.deletedFileRetentionDuration": retention,
        "delta.logRetentionDuration": retention,
    }


def _set_changed_properties(table: DeltaTable, wanted: dict[str, str]) -> None:
    """Set the properties that differ, in one commit; none where they are as wanted."""
    present = table.metadata().configuration
    changed = {key: value for key, value in wanted.items() if present.get(key) != value}
    if changed:
        table.alter.set_table_properties(changed)
        log.info("event=table_properties_changed table=%s properties=%s", table.table_uri, changed)


@dataclass(frozen=True)
class DataFile:
    """One data file of a table; `size` in bytes."""

    day: date
    size: int


def files_of(table: DeltaTable) -> list[DataFile]:
    """The files of the table's opened version, as Delta's log lists them."""
    actions = pa.table(table.get_add_actions(flatten=True))
    names = ("partition.date", "size_bytes")
    return [DataFile(*file) for file in zip(*(actions[n].to_pylist() for n in names), strict=True)]


class LakeTables:
    """Reads and writes the tables of one lake, all of the same origin (`live` or `simulated`)."""

    def __init__(self, spark: SparkSession, lake: str, origin: str) -> None:
        self.spark, self.lake, self.origin = spark, lake, origin

    def append(self, name: str, frame: DataFrame, count: int) -> None:
        """Append the rows of a Spark frame, about `count` of them, in one commit."""
        self._check_engine(name, "spark")
        frame = frame.coalesce(1) if count <= _ONE_FILE_ROWS else frame
        frame.write.format("delta").mode("append").save(table_uri(self.lake, name))

    def append_arrow(self, name: str, rows: pa.Table) -> None:
        """Append rows that the driver holds, in one commit and without a Spark job."""
        self._check_engine(name, "delta-rs")
        write_deltalake(self.open(name), rows, mode="append")

    def replace_dates(self, name: str, rows: pa.Table, dates: list[date]) -> None:
        """Replace all rows of these dates by `rows`, which the driver holds, in one commit."""
        self._check_engine(name, "delta-rs")
        listed = ", ".join(f"'{d.isoformat()}'" for d in dates)
        write_deltalake(self.open(name), rows, mode="overwrite", predicate=f"date IN ({listed})")

    @staticmethod
    def _check_engine(name: str, engine: Engine) -> None:
        assert ENGINES[name] == engine, f"rows of {name} are written by {ENGINES[name]} alone"

    def open(self, name: str) -> DeltaTable:
        """The table's newest version for delta-rs."""
        table = open_table(self.lake, name, self.origin)
        assert table is not None, "the tables are created at the start"
        return table

    def frame(self, name: str) -> DataFrame:
        """The table's newest version as a Spark frame."""
        return self.spark.read.format("delta").load(table_uri(self.lake, name))

    def spark_table(self, name: str) -> SparkDeltaTable:
        """The table for Delta's own operations in Spark, as MERGE."""
        self._check_engine(name, "spark")
        return SparkDeltaTable.forPath(self.spark, table_uri(self.lake, name))

    def query(self, sql: str, *names: str) -> pa.Table:
        """Answer SQL over the newest versions of the named tables, without a Spark job."""
        return query(sql, **{name: self.open(name) for name in names})

    def query_batches(self, sql: str, *names: str) -> Iterator[pa.RecordBatch]:
        """Answer as `query`, some thousand rows at a time."""
        return batches(sql, **{name: self.open(name) for name in names})

    def rows_by_date(self, name: str) -> dict[date, int]:
        """The number of rows of each partition, from Delta's log: no data is read."""
        return rows_by_date(self.open(name))
