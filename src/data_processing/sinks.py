"""Where rows go: the tables of one lake, asked through delta-rs.

What the workers made is written by Spark, the small tables that the driver makes by delta-rs: a
Spark job for one row costs seconds of processor time, this milliseconds. Every write is one commit
of Delta's log: all of its rows are there, or none.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
from delta.tables import DeltaTable
from deltalake import write_deltalake
from pyspark.sql import DataFrame, SparkSession

from core.lake import batches, open_table, query, table_uri

_SMALL = 20_000
"""Rows that one file takes: more are written by every core."""


class Sinks:
    """The tables of one lake, of one origin."""

    def __init__(self, spark: SparkSession, lake: str, origin: str) -> None:
        self.spark, self.lake, self.origin = spark, lake, origin

    def append(self, name: str, rows: DataFrame, count: int) -> None:
        """Append `rows`, about `count` of them, in one commit."""
        rows = rows.coalesce(1) if count <= _SMALL else rows
        rows.write.format("delta").mode("append").save(table_uri(self.lake, name))

    def add(self, name: str, rows: pa.Table) -> None:
        """Append rows of the driver's own, in one commit."""
        write_deltalake(table_uri(self.lake, name), rows, mode="append")

    def replace(self, name: str, rows: pa.Table, dates: list[date]) -> None:
        """Put `rows`, the driver's own, in place of all rows of these dates, in one commit."""
        listed = ", ".join(f"'{d.isoformat()}'" for d in dates)
        write_deltalake(
            table_uri(self.lake, name), rows, mode="overwrite", predicate=f"date IN ({listed})"
        )

    def frame(self, name: str) -> DataFrame:
        """The table's newest version as a frame."""
        return self.spark.read.format("delta").load(table_uri(self.lake, name))

    def delta(self, name: str) -> DeltaTable:
        """The table as Delta's own operations have it."""
        return DeltaTable.forPath(self.spark, table_uri(self.lake, name))

    def ask(self, sql: str, *names: str) -> pa.Table:
        """Answer SQL over the newest versions of the named tables, without a Spark job."""
        return query(sql, **self._tables(names))

    def each(self, sql: str, *names: str) -> Iterator[pa.RecordBatch]:
        """Answer as `ask`, some thousand rows at a time."""
        return batches(sql, **self._tables(names))

    def _tables(self, names: Sequence[str]) -> dict[str, Any]:
        return {name: open_table(self.lake, name, self.origin) for name in names}

    def rows_by_date(self, name: str) -> dict[date, int]:
        """How many rows each partition has, as the log tells it: no data is read."""
        table = open_table(self.lake, name, self.origin)
        assert table is not None, "the foundation is laid at the start"
        files = pa.table(table.get_add_actions(flatten=True))
        counts: dict[date, int] = {}
        columns = (files["partition.date"].to_pylist(), files["num_records"].to_pylist())
        for day, rows in zip(*columns, strict=True):
            counts[day] = counts.get(day, 0) + rows
        return counts
