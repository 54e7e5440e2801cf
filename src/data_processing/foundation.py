"""Makes the tables where they are missing, and refuses those that would break their readers.

delta-rs reads protocol (1, 2) and no feature beyond it; a table that has been given one (deletion
vectors, column mapping, …) is refused at the start, before a reader meets it.
"""

import pyarrow as pa
from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import types as T
from pyspark.sql.pandas.types import from_arrow_schema

from core.lake import ORIGIN_PROPERTY, open_table, table_uri
from core.tables import TABLES

PROTOCOL = (1, 2)
"""The reader's and the writer's version that every table keeps."""

_PROPERTIES = {
    "delta.minReaderVersion": "1",
    "delta.minWriterVersion": "2",
    "delta.enableDeletionVectors": "false",
    # A checkpoint costs more than it saves when it comes with every tenth small commit.
    "delta.checkpointInterval": "50",
    # The log's old versions are cleared by housekeeping, to the hour; Delta itself knows only days.
    "delta.enableExpiredLogCleanup": "false",
}

_STATISTICS = "delta.dataSkippingStatsColumns"
"""Least and greatest values are noted of times alone: nobody skips files by anything else, and
noting them of every column is a tenth of the work of writing."""


class ProtocolError(RuntimeError):
    """A table asks for more than its readers can do."""


def spark_schema(schema: pa.Schema) -> T.StructType:
    """The same columns as Spark has them."""
    made = from_arrow_schema(schema)
    assert isinstance(made, T.StructType)
    return made


def lay(spark: SparkSession, lake: str, origin: str, vacuum_after_hours: int) -> None:
    """Make every table that is missing, and give an older one the columns it lacks.

    Raises `core.lake.OriginMismatchError` for a lake of the other origin and `ProtocolError`.
    """
    for name, schema in TABLES.items():
        if open_table(lake, name, origin) is None:
            _create(spark, table_uri(lake, name), schema, origin, vacuum_after_hours)
        _widen(spark, table_uri(lake, name), schema)
        assert_protocol(lake, name, origin)


def assert_protocol(lake: str, name: str, origin: str) -> None:
    """Raise `ProtocolError` unless the table has the protocol that every reader knows."""
    table = open_table(lake, name, origin)
    assert table is not None, "made just before"
    protocol = table.protocol()
    found = (protocol.min_reader_version, protocol.min_writer_version)
    if found != PROTOCOL:
        raise ProtocolError(
            f"{name} has Delta protocol {found}, its readers know {PROTOCOL}: restore it with "
            "DROP FEATURE, or move the table away"
        )


def _create(
    spark: SparkSession, uri: str, schema: pa.Schema, origin: str, vacuum_after_hours: int
) -> None:
    kept = f"interval {vacuum_after_hours} hours"
    builder = DeltaTable.createIfNotExists(spark).location(uri).partitionedBy("date")
    builder = builder.addColumns(spark_schema(schema)).property(ORIGIN_PROPERTY, origin)
    for key, value in {**_PROPERTIES, _STATISTICS: _times(schema)}.items():
        builder = builder.property(key, value)
    builder.property("delta.deletedFileRetentionDuration", kept).property(
        "delta.logRetentionDuration", kept
    ).execute()


def _times(schema: pa.Schema) -> str:
    return ",".join(field.name for field in schema if pa.types.is_timestamp(field.type))


def _widen(spark: SparkSession, uri: str, schema: pa.Schema) -> None:
    """Add the columns that a table of an earlier version lacks; they are null in its rows."""
    present = set(spark.read.format("delta").load(uri).columns)
    for field in spark_schema(schema).fields:
        if field.name not in present:
            added = f"`{field.name}` {field.dataType.simpleString()}"
            spark.sql(f"ALTER TABLE delta.`{uri}` ADD COLUMNS ({added})")
