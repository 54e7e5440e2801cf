"""Reading the Delta tables: where they are and how to query them, without a JVM.

A table is created by the service that writes it. For a reader a missing table is `None`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError

from core.delta_log import inspect, newest_commit_is_empty
from core.market import Market
from core.object_store import storage_options
from core.tables import TABLES
from core.unfinished_restore import unfinished_restore

ORIGIN_PROPERTY = "bitcoin.origin"
"""Table property that says whether the rows are `live` or `simulated`."""


class OriginMismatchError(RuntimeError):
    """The lake holds data of the other origin; simulated and real rows are never mixed."""


class LakeUnreadableError(DeltaError):
    """A query failed: a table's files are missing or damaged, or the store does not answer."""


def table_uri(lake: str, name: str) -> str:
    """The URI of a table.

    >>> table_uri("s3://bucket/lake/", "raw_transactions")
    's3://bucket/lake/raw_transactions'
    """
    return f"{lake.rstrip('/')}/{name}"


def open_table(lake: str, name: str, origin: str) -> DeltaTable | None:
    """Open the newest version of a table; None where the table does not exist yet.

    Raises `OriginMismatchError` for a table of the other origin, `LakeUnreadableError` while a
    backup is restored, and `core.delta_log.LogDamagedError` for a log that must be repaired first.
    """
    if (reason := unfinished_restore(lake)) is not None:
        raise LakeUnreadableError(reason)
    table = _newest_version(table_uri(lake, name))
    if table is None:
        return None
    its_origin = table.metadata().configuration.get(ORIGIN_PROPERTY)
    if its_origin != origin:
        raise OriginMismatchError(
            f"{table_uri(lake, name)} holds {its_origin} data, this service is set to {origin}: "
            f"set DATA_ORIGIN={its_origin} or another LAKE_URI"
        )
    return table


def _newest_version(uri: str) -> DeltaTable | None:
    try:
        table = DeltaTable(uri, storage_options=storage_options(uri))
    except TableNotFoundError:
        return None
    except DeltaError as error:
        if damage := inspect(uri):
            raise damage.error() from error
        raise
    if newest_commit_is_empty(uri, table.version()) and (damage := inspect(uri)):
        raise damage.error()
    return table


def rows_by_date(table: DeltaTable) -> dict[date, int]:
    """The number of rows of each partition, from Delta's log: no data is read."""
    actions = pa.table(table.get_add_actions(flatten=True))
    counts: dict[date, int] = {}
    for day, rows in zip(
        actions["partition.date"].to_pylist(), actions["num_records"].to_pylist(), strict=True
    ):
        counts[day] = counts.get(day, 0) + rows
    return counts


def query(sql: str, **tables: DeltaTable) -> pa.Table:
    """The result of an SQL query; each keyword names a table in it.

    Raises `LakeUnreadableError` when a file is missing or damaged, or the query is wrong.
    """
    try:
        return _executed(_engine(tables), sql).read_all()
    except Exception as error:  # the engine raises nothing narrower
        raise LakeUnreadableError(str(error)) from error


def batches(sql: str, **tables: DeltaTable) -> Iterator[pa.RecordBatch]:
    """The result of `query`, some thousand rows at a time, for results too large for memory.

    A single thread reads, because each thread would hold decoded files.
    """
    try:
        engine = _engine(tables)
        engine.execute("SET datafusion.execution.target_partitions = 1")
        yield from _executed(engine, sql)
    except Exception as error:  # the engine raises nothing narrower
        raise LakeUnreadableError(str(error)) from error


_ENGINE_MEMORY = "192M"
"""What a query of `rows` may hold: groups that take more go to temporary files."""


def rows(sql: str, **tables: DeltaTable) -> list[dict[str, Any]]:
    """The rows of a query that sums up many rows to few, in bounded memory.

    Columns that a table of an earlier version lacks are null. Raises `LakeUnreadableError`, also
    for a query that bounded memory is not enough for.
    """
    try:
        engine = _engine(tables)
        engine.execute("SET datafusion.execution.target_partitions = 1")
        engine.execute(f"SET datafusion.runtime.memory_limit = '{_ENGINE_MEMORY}'")
        found = _executed(engine, completed(sql, **tables)).read_all()
    except Exception as error:  # the engine raises nothing narrower
        raise LakeUnreadableError(str(error)) from error
    return list(found.to_pylist())


def snapshot(**tables: DeltaTable) -> Callable[[str], pa.Table]:
    """Answer SQL as `query` does, each time from the versions that the tables have now.

    A single thread reads, as for `batches`; also raises as they do.
    """
    engine = _engine(tables)
    engine.execute("SET datafusion.execution.target_partitions = 1")

    def ask(sql: str) -> pa.Table:
        try:
            return _executed(engine, sql).read_all()
        except Exception as error:  # the engine raises nothing narrower
            raise LakeUnreadableError(str(error)) from error

    return ask


def _executed(engine: QueryBuilder, sql: str) -> pa.RecordBatchReader:
    """The result of a query, computed as it is read.

    Read by pyarrow, because the engine's own reader lets no other thread of Python run meanwhile.
    """
    return pa.RecordBatchReader.from_stream(engine.execute(sql))


def _engine(tables: Mapping[str, DeltaTable]) -> QueryBuilder:
    builder = QueryBuilder()
    for name, table in tables.items():
        builder = builder.register(name, table)
    return builder


_ENGINE_TYPES = {
    pa.string(): "Utf8",
    pa.float64(): "Float64",
    pa.int64(): "Int64",
    pa.bool_(): "Boolean",
    pa.list_(pa.string()): "List(Utf8)",
    pa.list_(pa.int64()): "List(Int64)",
}
"""The query engine's names of the types that nullable columns have."""


def completed(sql: str, **tables: DeltaTable) -> str:
    """A query in which the columns that a table of an earlier version lacks are null."""
    views = []
    for name, table in tables.items():
        if missing := [f for f in missing_columns(table, TABLES[name]) if f.nullable]:
            nulls = (f"arrow_cast(NULL, '{_ENGINE_TYPES[f.type]}') AS {f.name}" for f in missing)
            views.append(f"{name} AS (SELECT *, {', '.join(nulls)} FROM {name})")
    return f"WITH {', '.join(views)} {sql}" if views else sql


def missing_columns(table: DeltaTable, schema: pa.Schema) -> list[pa.Field]:
    """The columns that a table of an earlier version lacks."""
    present = {field.name for field in table.schema().fields}
    return [field for field in schema if field.name not in present]


def open_or_create_table(
    lake: str,
    name: str,
    schema: pa.Schema,
    origin: str,
    partition_by: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
) -> DeltaTable:
    """Open the newest version of a table, created where it is missing; for its writer alone.

    `partition_by` and `properties` are those of a new table. Raises as `open_table`, and
    `DeltaError` or `OSError` where it cannot be created.
    """
    if (table := open_table(lake, name, origin)) is not None:
        return table
    uri = table_uri(lake, name)
    with suppress(DeltaError):  # another process was first
        DeltaTable.create(
            uri,
            schema,
            name=name,
            partition_by=list(partition_by),
            configuration={ORIGIN_PROPERTY: origin, **(properties or {})},
            raise_if_key_not_exists=False,
            storage_options=storage_options(uri),
        )
    created = open_table(lake, name, origin)
    assert created is not None, "by this process or another"
    return created


def add_columns(table: DeltaTable, columns: Iterable[pa.Field]) -> None:
    """Add columns, which are null in the rows that are there; for the table's writer alone."""
    nullable = pa.schema([column.with_nullable(True) for column in columns])
    table.alter.add_columns(list(Schema.from_arrow(nullable).fields))


def sql_time(at: datetime) -> str:
    """A time as an SQL literal for `query`, of the type of the tables' time columns; any year.

    >>> from datetime import UTC
    >>> print(sql_time(datetime(2026, 1, 2, tzinfo=UTC)))
    arrow_cast('2026-01-02T00:00:00+00:00', 'Timestamp(Microsecond, Some("UTC"))')
    """
    return f"""arrow_cast('{at.isoformat()}', 'Timestamp(Microsecond, Some("UTC"))')"""


def sql_list(texts: Collection[str]) -> str:
    """Texts of hexadecimal digits or numbers as a list for SQL's IN; at least one.

    >>> sql_list({"b2", "a1"})
    "('a1', 'b2')"
    """
    return f"({', '.join(repr(text) for text in sorted(texts))})"


def newest_market(lake: str, origin: str, now: datetime) -> Market | None:
    """The newest row of the table `market`, None where there is none; raises as `open_table`.

    Minutes after `now` come last: a broker's clock that was ahead once hides no newer market.
    """
    table = open_table(lake, "market", origin)
    days = sorted({partition["date"] for partition in table.partitions()}) if table else []
    if table is None or not days:
        return None
    past = [day for day in days if day <= str(now.date())] or days
    names = ", ".join(Market._fields)
    sql = (
        f"SELECT {names} FROM market WHERE date >= DATE '{past[-2:][0]}'"
        f" ORDER BY minute > {sql_time(now)}, minute DESC LIMIT 1"
    )
    found: list[dict[str, Any]] = query(sql, market=table).to_pylist()
    return Market(**found[0]) if found else None
