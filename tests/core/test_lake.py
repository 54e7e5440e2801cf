from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from core.lake import (
    LakeUnreadableError,
    OriginMismatchError,
    batches,
    open_table,
    query,
    table_uri,
)


@pytest.fixture
def table(tmp_path: Path) -> DeltaTable:
    """A table as the stream makes it, but for its columns."""
    uri = table_uri(str(tmp_path), "numbers")
    write_deltalake(uri, pa.table({"n": [1, 2, 3]}))
    delta = DeltaTable(uri)
    delta.alter.set_table_properties({"bitcoin.origin": "live"}, raise_if_not_exists=False)
    return delta


def test_a_table_that_is_not_there_yet_is_none(tmp_path: Path) -> None:
    assert open_table(str(tmp_path), "numbers", "live") is None


def test_a_table_of_the_right_origin_opens(table: DeltaTable, tmp_path: Path) -> None:
    opened = open_table(str(tmp_path), "numbers", "live")
    assert opened is not None
    assert opened.version() == table.version()


def test_a_table_of_the_other_origin_is_refused_with_the_remedy(
    table: DeltaTable, tmp_path: Path
) -> None:
    with pytest.raises(OriginMismatchError, match="set DATA_ORIGIN=live or another LAKE_URI"):
        open_table(str(tmp_path), "numbers", "simulated")


def test_a_query_names_tables_by_its_keywords(table: DeltaTable) -> None:
    assert query("SELECT SUM(n) AS total FROM t", t=table)["total"].to_pylist() == [6]


def test_a_missing_file_makes_the_lake_unreadable(table: DeltaTable, tmp_path: Path) -> None:
    for file in (tmp_path / "numbers").glob("*.parquet"):
        file.unlink()
    with pytest.raises(LakeUnreadableError):
        query("SELECT * FROM t", t=table)


@pytest.mark.parametrize("read", [query, lambda sql, **tables: list(batches(sql, **tables))])
def test_other_threads_run_while_a_query_is_computed(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    uri = table_uri(str(tmp_path), "many")
    write_deltalake(uri, pa.table({"n": range(10_000)}))
    sql = "SELECT count(*) AS pairs FROM a, b WHERE a.n + b.n > 4000 AND a.n * b.n > 0"
    reader = Thread(target=read, args=(sql,), kwargs={"a": DeltaTable(uri), "b": DeltaTable(uri)})
    reader.start()
    times = [perf_counter()]
    while reader.is_alive():
        times.append(perf_counter())
    longest, whole = max(b - a for a, b in pairwise(times)), times[-1] - times[0]
    assert longest < whole / 2, "an API that reads the lake answers nobody meanwhile"
