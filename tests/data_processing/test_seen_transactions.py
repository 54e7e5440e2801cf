"""What is written is recognised, by real Delta tables; Spark is not needed to read them."""

import random
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession
from tests.support import delta_tables
from tests.support.stream_samples import NOON, a_hash

from core.tables import RAW_TRANSACTIONS
from data_processing.known_keys import Keys
from data_processing.lake_tables import LakeTables
from data_processing.seen_transactions import (
    SeenTransactions,
    append_days,
    keys_of_hashes,
    record_keys,
)

NOW = datetime.fromtimestamp(NOON, UTC)


class NoSpark(LakeTables):
    """Tables that are read without Spark; it notes the SQL of what is read."""

    def __init__(self, lake: str) -> None:
        super().__init__(cast(SparkSession, None), lake, "simulated")
        self.read: list[str] = []

    def query_batches(self, sql: str, *names: str) -> Any:
        self.read.append(sql)
        return super().query_batches(sql, *names)


def raw_rows(hashes: list[str], at: datetime) -> pa.Table:
    """Rows of `raw_transactions`, as few of whose columns have a meaning as possible."""
    zeros: dict[pa.DataType, Any] = {pa.int64(): 0, pa.int32(): 0, pa.string(): ""}
    own = {"append_time": at, "event_time": at, "date": at.date()}
    rows = [
        {
            field.name: own.get(field.name, None if field.nullable else zeros.get(field.type))
            for field in RAW_TRANSACTIONS
        }
        | {"hash": value}
        for value in hashes
    ]
    return pa.Table.from_pylist(rows, RAW_TRANSACTIONS)


def receipts(hashes: list[str], at: datetime = NOW) -> pa.Table:
    return pa.table(
        {
            "key": [bytes.fromhex(value[:32]) for value in hashes],
            "append_time": pa.array([at] * len(hashes), pa.timestamp("us", "UTC")),
        }
    )


@pytest.fixture
def rng() -> random.Random:
    return random.Random(1)


@pytest.fixture
def hashes(rng: random.Random) -> dict[timedelta, list[str]]:
    """Hashes by the age of their rows: some of now, of yesterday and of 40 days ago."""
    return {timedelta(days=age): [a_hash(rng) for _ in range(20)] for age in (0, 1, 40)}


@pytest.fixture
def tables(lake: str, hashes: dict[timedelta, list[str]]) -> NoSpark:
    for age, of_age in hashes.items():
        delta_tables.write(Path(lake), "raw_transactions", raw_rows(of_age, NOW - age))
    rejects = {"value": [b"bad"], "reason": ["bad"], "topic": ["t"], "partition": [0]}
    rejected = delta_tables.table(
        "quarantine", **rejects, offset=[7], append_time=[NOW.replace(tzinfo=None)]
    )
    delta_tables.write(Path(lake), "quarantine", rejected)
    return NoSpark(lake)


def test_a_repeat_is_recognised_however_old_its_row_is(
    tables: NoSpark, hashes: dict[timedelta, list[str]], rng: random.Random, tmp_path: Path
) -> None:
    seen = SeenTransactions(tables, tmp_path / "keys")
    for of_age in hashes.values():
        assert seen.are_repeats(receipts(of_age)).all()
    assert not seen.are_repeats(receipts([a_hash(rng) for _ in range(50)])).any()
    assert len(seen.keys) == 60


def test_a_restart_reads_only_the_dates_that_have_changed(
    tables: NoSpark, hashes: dict[timedelta, list[str]], rng: random.Random, tmp_path: Path
) -> None:
    SeenTransactions(tables, tmp_path / "keys")
    assert len(tables.read) == 3
    another = [a_hash(rng)]
    write_deltalake(tables.open("raw_transactions"), raw_rows(another, NOW), mode="append")
    seen = SeenTransactions(tables, tmp_path / "keys")
    assert tables.read[3:] == [f"SELECT hash FROM raw_transactions WHERE date = '{NOW.date()}'"]
    assert seen.are_repeats(receipts(another + hashes[timedelta()])).all()


def test_what_is_added_is_recognised_and_saved(
    tables: NoSpark, rng: random.Random, tmp_path: Path
) -> None:
    seen, new = SeenTransactions(tables, tmp_path / "keys"), [a_hash(rng) for _ in range(5)]
    write_deltalake(tables.open("raw_transactions"), raw_rows(new, NOW), mode="append")
    seen.add(receipts(new))
    assert seen.are_repeats(receipts(new)).all()
    assert seen.unsaved == 5
    seen.save()
    assert seen.are_repeats(receipts(new)).all()
    assert seen.unsaved == 0
    tables.read.clear()
    assert SeenTransactions(tables, tmp_path / "keys").are_repeats(receipts(new)).all()
    assert tables.read == []


def test_lost_files_are_made_again_and_rows_that_are_deleted_are_forgotten(
    tables: NoSpark, hashes: dict[timedelta, list[str]], tmp_path: Path
) -> None:
    seen = SeenTransactions(tables, tmp_path / "keys")
    shutil.rmtree(tmp_path / "keys")
    old = hashes[timedelta(days=40)]
    tables.open("raw_transactions").delete(f"date = '{NOW.date() - timedelta(days=40)}'")
    tables.open("raw_transactions").delete(f"hash = '{hashes[timedelta()][0]}'")
    seen.save()
    for after in (seen, SeenTransactions(tables, tmp_path / "keys")):
        assert not after.are_repeats(receipts(old)).any()
        assert after.are_repeats(receipts(hashes[timedelta()])).tolist() == [False] + [True] * 19
        assert after.are_repeats(receipts(hashes[timedelta(days=1)])).all()


def test_a_table_that_was_created_again_has_other_keys(
    tables: NoSpark, hashes: dict[timedelta, list[str]], rng: random.Random, tmp_path: Path
) -> None:
    SeenTransactions(tables, tmp_path / "keys")
    shutil.rmtree(Path(tables.lake, "raw_transactions"))
    others = [a_hash(rng) for _ in range(20)]
    delta_tables.write(Path(tables.lake), "raw_transactions", raw_rows(others, NOW))
    seen = SeenTransactions(tables, tmp_path / "keys")
    assert seen.are_repeats(receipts(others)).all()
    assert not seen.are_repeats(receipts(hashes[timedelta()])).any()


def test_a_reject_is_recognised_by_its_position_and_time(tables: NoSpark, tmp_path: Path) -> None:
    seen = SeenTransactions(tables, tmp_path / "keys")
    at = NOW - timedelta(days=3)
    rejects = positions([("t", 0, 7, NOW), ("t", 0, 8, NOW), ("t", 0, 7, at), ("t", 1, 7, NOW)])
    assert seen.are_quarantined(rejects).tolist() == [True, False, False, False]
    seen.add_rejects(rejects.slice(1, 1))
    assert seen.are_quarantined(rejects).tolist() == [True, True, False, False]


def positions(rows: list[tuple[str, int, int, datetime]]) -> pa.Table:
    names = ("topic", "partition", "offset", "append_time")
    types = (pa.string(), pa.int32(), pa.int64(), pa.timestamp("us", "UTC"))
    return pa.Table.from_pylist(
        [dict(zip(names, row, strict=True)) for row in rows],
        pa.schema(list(zip(names, types, strict=True))),
    )


def distinct(keys: Keys) -> int:
    return len(np.unique(keys, axis=0))


def test_hashes_that_differ_in_their_first_half_have_different_keys(rng: random.Random) -> None:
    assert (
        distinct(keys_of_hashes(pa.chunked_array([[a_hash(rng) for _ in range(1_000)]]))) == 1_000
    )


def test_a_record_s_key_is_of_its_place_and_time() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    rows = [
        (topic, partition, offset, time)
        for topic in ("a", "b")
        for partition in (0, 1)
        for offset in (5, 2**40)
        for time in (at, at.replace(microsecond=1_000))
    ]
    assert distinct(record_keys(positions(rows))) == len(rows)


def test_the_date_of_a_time_before_1970_is_right_too() -> None:
    times = [datetime(1970, 1, 2, 23, 59, tzinfo=UTC), datetime(1969, 12, 31, 23, tzinfo=UTC)]
    days = append_days(pa.chunked_array([times], pa.timestamp("us", "UTC")))
    assert days.tolist() == [date(1970, 1, 2), date(1969, 12, 31)]
