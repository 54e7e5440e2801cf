"""The Delta tables as readers see them: where they are and how to ask them, without a JVM.

Tables are created by the stream alone; to a reader a table that is not there yet is `None`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError, TableNotFoundError

ORIGIN_PROPERTY = "bitcoin.origin"
"""Table property that says whether the rows are `live` or `simulated`."""


class OriginMismatchError(RuntimeError):
    """The lake holds data of the other origin: simulated and real rows never mix."""


class LakeUnreadableError(DeltaError):
    """A query failed: files of a table are missing or damaged, or the store does not answer."""


def table_uri(lake: str, name: str) -> str:
    """The URI of a table.

    >>> table_uri("s3://bucket/lake/", "raw_transactions")
    's3://bucket/lake/raw_transactions'
    """
    return f"{lake.rstrip('/')}/{name}"


def open_table(lake: str, name: str, origin: str) -> DeltaTable | None:
    """Open a table's newest version, or None where there is none yet.

    Raises `OriginMismatchError` for a table of the other origin.
    """
    try:
        table = DeltaTable(table_uri(lake, name))
    except TableNotFoundError:
        return None
    found = table.metadata().configuration.get(ORIGIN_PROPERTY)
    if found != origin:
        raise OriginMismatchError(
            f"{table_uri(lake, name)} holds {found} data, this service is set to {origin}: "
            f"set DATA_ORIGIN={found} or another LAKE_URI"
        )
    return table


def query(sql: str, **tables: DeltaTable) -> pa.Table:
    """Answer an SQL query over tables registered under their keywords' names.

    Raises `LakeUnreadableError` when a file is missing or damaged, or the query is wrong.
    """
    try:
        return pa.table(_engine(tables).execute(sql).read_all())
    except Exception as error:  # the engine raises nothing narrower
        raise LakeUnreadableError(str(error)) from error


def batches(sql: str, **tables: DeltaTable) -> Iterator[pa.RecordBatch]:
    """Answer as `query`, some thousand rows at a time: for what takes too much room as a whole.

    One thread reads, since each would decode files of its own.
    """
    try:
        engine = _engine(tables)
        engine.execute("SET datafusion.execution.target_partitions = 1")
        for batch in engine.execute(sql):
            yield pa.record_batch(batch)
    except Exception as error:  # the engine raises nothing narrower
        raise LakeUnreadableError(str(error)) from error


def _engine(tables: Mapping[str, DeltaTable]) -> QueryBuilder:
    builder = QueryBuilder()
    for name, table in tables.items():
        builder = builder.register(name, table)
    return builder


def sql_time(at: datetime) -> str:
    """An instant as a literal of `query`'s SQL, of the type of the tables' times; any year.

    >>> from datetime import UTC
    >>> print(sql_time(datetime(2026, 1, 2, tzinfo=UTC)))
    arrow_cast('2026-01-02T00:00:00+00:00', 'Timestamp(Microsecond, Some("UTC"))')
    """
    return f"""arrow_cast('{at.isoformat()}', 'Timestamp(Microsecond, Some("UTC"))')"""
