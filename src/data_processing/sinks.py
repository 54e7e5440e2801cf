"""Where frames go: the tables of one lake, written by Spark, asked through delta-rs.

Every write here is one commit of Delta's log: all of its rows are there, or none.
"""

from datetime import date, datetime
from typing import Any

import pyarrow as pa
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from core.lake import open_table, query, table_uri

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

    def replace(self, name: str, rows: DataFrame, dates: list[date]) -> None:
        """Put `rows` in place of all rows of these dates, in one commit."""
        listed = ", ".join(f"'{d.isoformat()}'" for d in dates)
        writer = rows.coalesce(1).write.format("delta").mode("overwrite")
        writer.option("replaceWhere", f"date IN ({listed})").save(table_uri(self.lake, name))

    def frame(self, name: str) -> DataFrame:
        """The table's newest version as a frame."""
        return self.spark.read.format("delta").load(table_uri(self.lake, name))

    def delta(self, name: str) -> DeltaTable:
        """The table as Delta's own operations have it."""
        return DeltaTable.forPath(self.spark, table_uri(self.lake, name))

    def ask(self, sql: str, *names: str) -> pa.Table:
        """Answer SQL over the newest versions of the named tables, without a Spark job."""
        tables: dict[str, Any] = {name: open_table(self.lake, name, self.origin) for name in names}
        return query(sql, **tables)

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


def sql_time(at: datetime) -> str:
    """An instant as a literal of delta-rs' SQL.

    >>> from datetime import UTC
    >>> sql_time(datetime(2026, 1, 2, tzinfo=UTC))
    "CAST('2026-01-02T00:00:00+00:00' AS TIMESTAMP)"
    """
    return f"CAST('{at.isoformat()}' AS TIMESTAMP)"
