import os
import random
import shutil
import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import a_hash, a_transaction

from core.delta_log import inspect, repair
from core.detector.champion import Champion
from core.lake import rows_by_date, table_uri
from core.settings import StreamSettings
from core.tables import TABLES
from data_processing.chores.housekeeping import (
    Housekeeping,
    expired_dates,
    partitions_to_compact,
)
from data_processing.lake_tables import PROTOCOL, DataFile, LakeTables, files_of
from monitoring.stream_metrics import StreamMetrics

DAY = date(2026, 1, 2)
MB = 2**20


def test_only_small_files_of_today_are_joined_and_only_when_they_are_many() -> None:
    files = [DataFile(DAY, 1 * MB)] * 60 + [DataFile(DAY, 20 * MB)] * 100
    assert partitions_to_compact(files, DAY, 60) == {}
    assert partitions_to_compact([*files, DataFile(DAY, 1)], DAY, 60) == {DAY: 4 * MB}


def test_a_day_that_has_ended_is_joined_once_more_and_then_left_alone() -> None:
    tomorrow = DAY + timedelta(days=1)
    assert partitions_to_compact([DataFile(DAY, 20 * MB)] * 3, tomorrow, 60) == {DAY: 128 * MB}
    assert (
        partitions_to_compact([DataFile(DAY, 60 * MB), DataFile(DAY, 120 * MB)], tomorrow, 60) == {}
    )


@given(
    st.sets(st.integers(0, 60), min_size=1),
    st.sets(st.integers(0, 60)),
    st.integers(9, 30),
    st.integers(-1_000, 1_000),
    st.integers(-1_000, 1_000),
)
def test_no_reading_of_one_clock_deletes_a_date_that_is_young(
    with_rows: set[int], dates: set[int], days: int, wall: int, broker: int
) -> None:
    """One date is added by the broker's clock, and today is that of the stream's."""
    wrong = {DAY + timedelta(days=n) for n in with_rows} | {DAY + timedelta(days=broker)}
    listed = [DAY + timedelta(days=n) for n in dates]
    today = DAY + timedelta(days=wall)
    for day in expired_dates(listed, wrong, today, days):
        assert day < today - timedelta(days=days)
        assert sum(DAY + timedelta(days=n) > day for n in with_rows) >= days - 1


def test_in_steady_operation_the_limit_is_that_of_the_calendar() -> None:
    days = [DAY + timedelta(days=n) for n in range(40)]
    assert expired_dates(days, days, days[-1], 30) == days[:9]
    assert expired_dates(days[:5], days, days[-1], 30) == days[:5]


@pytest.fixture
def housekeeping(
    tables: LakeTables, metrics: StreamMetrics, kafka: FakeKafka, writer: Writer
) -> Callable[..., Housekeeping]:
    """Makes the chore, with the clock of the records plus `ahead`."""

    def make(ahead: timedelta = timedelta(), **changes: int) -> Housekeeping:
        settings = StreamSettings.model_validate(changes)
        return Housekeeping(tables, writer.seen, settings, metrics, now=lambda: kafka.now + ahead)

    return make


def go_round(chore: Housekeeping) -> None:
    """Let it go through every table once."""
    for _ in TABLES:
        chore.run()


def of_another_time(row: pa.Table, at: datetime, rng: random.Random) -> pa.Table:
    """The same row as if Kafka had appended it then, with another hash."""
    changed = {"hash": a_hash(rng), "append_time": at, "event_time": at, "date": at.date()}
    return pa.Table.from_pylist([row.to_pylist()[0] | changed], schema=row.schema)


@pytest.mark.stack
def test_files_stay_few_over_a_simulated_week_and_no_row_is_lost(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    tables: LakeTables,
    metrics: StreamMetrics,
    housekeeping: Callable[..., Housekeeping],
) -> None:
    """By the default settings; a day has a hundred commits, twelve between two runs."""
    writer.write(kafka.records(a_transaction(rng)))
    row = tables.query("SELECT * FROM raw_transactions", "raw_transactions")
    chore, most, commits = housekeeping(), 0, 1
    for _ in range(7):
        for _ in range(9):
            for _ in range(12):
                kafka.later(seconds=5)
                rows = of_another_time(row, kafka.now, rng)
                write_deltalake(tables.open("raw_transactions"), rows, mode="append")
                commits += 1
            go_round(chore)
            most = max(most, len(files_of(tables.open("raw_transactions"))))
        kafka.later(days=1)
    go_round(chore)
    assert most <= 60 + 7
    assert len(files_of(tables.open("raw_transactions"))) == 7
    assert metrics.table_files.labels("raw_transactions")._value.get() == 7
    assert metrics.table_bytes.labels("raw_transactions")._value.get() > 7_000
    assert len(set(writer.hashes_in("raw_transactions"))) == commits


@pytest.mark.stack
def test_a_day_of_movements_that_has_ended_is_sorted_by_address_once(
    kafka: FakeKafka,
    rng: random.Random,
    tables: LakeTables,
    housekeeping: Callable[..., Housekeeping],
) -> None:
    addresses = sorted(f"bc1q{rng.getrandbits(160):040x}" for _ in range(300))
    shuffled = rng.sample(addresses, len(addresses))
    for start in range(0, len(shuffled), 50):
        rows = [
            {"address": address, "hash": a_hash(rng), "spent": False, "position": 0, "value": 1}
            | {"event_time": kafka.now, "append_time": kafka.now, "date": kafka.now.date()}
            for address in shuffled[start : start + 50]
        ]
        tables.append_arrow("movements", pa.Table.from_pylist(rows, TABLES["movements"]))
    go_round(housekeeping())
    assert len(files_of(tables.open("movements"))) == 6, "the day goes on"
    for _ in range(3):
        go_round(housekeeping(timedelta(days=1)))
    table = tables.open("movements")
    (uri,) = table.file_uris()
    assert pq.read_table(uri)["address"].to_pylist() == addresses
    assert table.version() == 7, "six appends, and one rewrite"


@pytest.mark.stack
def test_a_day_that_is_too_large_to_be_sorted_is_joined_all_the_same(
    kafka: FakeKafka,
    rng: random.Random,
    tables: LakeTables,
    housekeeping: Callable[..., Housekeeping],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("data_processing.chores.housekeeping._SORTING_BYTES", 1)
    for number in range(3):
        row = {"address": "bc1q", "hash": a_hash(rng), "spent": False, "position": 0, "value": 1}
        row |= {"event_time": kafka.now, "append_time": kafka.now, "date": kafka.now.date()}
        rows = [row | {"address": f"bc1q{number}{i}"} for i in range(2_000)]
        tables.append_arrow("movements", pa.Table.from_pylist(rows, TABLES["movements"]))
    go_round(housekeeping(timedelta(days=1)))
    assert len(files_of(tables.open("movements"))) == 1
    assert tables.rows_by_date("movements") == {kafka.now.date(): 6_000}


@pytest.mark.stack
def test_a_vacuum_removes_what_a_crash_left_behind_once_no_reader_can_need_it(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    tables: LakeTables,
    housekeeping: Callable[..., Housekeeping],
) -> None:
    writer.write(kafka.records(a_transaction(rng)))
    (whole,) = Path(tables.lake, "raw_transactions").glob("date=*/*.parquet")
    old, young = whole.with_name("old.parquet"), whole.with_name("young.parquet")
    for copy in (old, young):
        shutil.copy(whole, copy)
    for file in (old, whole):
        os.utime(file, (time.time() - 3 * 3_600,) * 2)
    go_round(housekeeping())
    assert (old.exists(), young.exists(), whole.exists()) == (False, True, True)
    assert len(writer.hashes_in("raw_transactions")) == 1


@pytest.mark.stack
def test_behind_the_newest_checkpoint_of_a_log_there_is_always_an_older_one(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    tables: LakeTables,
    housekeeping: Callable[..., Housekeeping],
) -> None:
    uri = table_uri(tables.lake, "raw_transactions")
    log = Path(uri, "_delta_log")
    for _ in range(3):
        writer.write(kafka.records(a_transaction(rng)))
        for file in log.iterdir():
            os.utime(file, (time.time() - 3 * 3_600,) * 2)
        go_round(housekeeping())
    assert not (log / f"{0:020}.json").exists(), "the log is cleared"
    newest = max(log.glob("*.checkpoint.parquet"))
    newest.write_bytes(newest.read_bytes()[:-100])
    repair(inspect(uri))
    assert len(writer.hashes_in("raw_transactions")) == 3


@pytest.mark.stack
def test_a_log_with_many_commits_is_cut_and_an_older_reader_goes_on(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    tables: LakeTables,
    housekeeping: Callable[..., Housekeeping],
) -> None:
    writer.write(kafka.records(a_transaction(rng)))
    row = tables.query("SELECT * FROM raw_transactions", "raw_transactions")
    uri = table_uri(tables.lake, "raw_transactions")
    log = Path(uri, "_delta_log")
    reader, commits = tables.open("raw_transactions"), 0
    chore = housekeeping()
    for _ in range(12):
        for _ in range(60):
            more = of_another_time(row, kafka.now, rng)
            write_deltalake(uri, more, mode="append")  # Spark would take minutes
            commits += 1
        go_round(chore)
    assert 600 < len(list(log.glob("*.json"))) < 700
    assert len(list(log.glob("*.checkpoint.parquet"))) >= 10
    reader.update_incremental()
    assert sum(rows_by_date(reader).values()) == commits + 1
    assert len(set(writer.hashes_in("raw_transactions"))) == commits + 1


@pytest.mark.stack
def test_a_lake_to_which_nothing_comes_gets_no_commits(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    champion: Champion,
    tables: LakeTables,
    metrics: StreamMetrics,
) -> None:
    clock = [0.0]
    chore = Housekeeping(
        tables, writer.seen, StreamSettings(), metrics, lambda: clock[0], lambda: kafka.now
    )
    writer.champion = champion
    for _ in range(3):
        writer.write(kafka.records(a_transaction(rng)))
    versions = {name: tables.open(name).version() for name in TABLES}
    for _ in range(3):
        clock[0] += 3_601
        go_round(chore)
    assert {name: tables.open(name).version() for name in TABLES} == versions


@pytest.mark.stack
def test_rows_past_their_retention_are_deleted_with_their_whole_date(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    champion: Champion,
    metrics: StreamMetrics,
    housekeeping: Callable[..., Housekeeping],
) -> None:
    writer.champion = champion
    old, new = a_transaction(rng), [a_transaction(rng) for _ in range(10)]
    writer.write(kafka.records(old, b"bad"))
    for transaction in new:
        kafka.later(days=1)
        writer.write(kafka.records(transaction))
    go_round(housekeeping(retention_days=9))
    for table in ("raw_transactions", "scored_transactions"):
        assert writer.hashes_in(table) == sorted(t["hash"] for t in new)
        assert metrics.deleted_rows.labels(table)._value.get() == 1
    assert writer.tables.rows_by_date("quarantine") == {}
    assert len(writer.seen.keys) == len(new)
    again = writer.write(kafka.records(old, *new))
    assert (again.new.num_rows, again.repeats) == (1, len(new)), "known as long as it is stored"


@pytest.mark.stack
@pytest.mark.parametrize(("here", "at_the_broker"), [(400, 0), (0, 400), (400, 400)])
def test_a_clock_that_is_400_days_ahead_deletes_no_row(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    champion: Champion,
    housekeeping: Callable[..., Housekeeping],
    here: int,
    at_the_broker: int,
) -> None:
    writer.champion = champion
    written = []
    for _ in range(3):
        written += [a_transaction(rng), a_transaction(rng)]
        writer.write(kafka.records(*written[-2:], b"bad"))
        kafka.later(days=1)
    kafka.later(days=at_the_broker)
    written.append(a_transaction(rng))
    writer.write(kafka.records(written[-1]))
    kafka.later(days=-at_the_broker)
    for _ in range(2):
        go_round(housekeeping(timedelta(days=here), retention_days=9))
    for table in ("raw_transactions", "scored_transactions"):
        assert writer.hashes_in(table) == sorted(t["hash"] for t in written)
    assert sum(writer.tables.rows_by_date("quarantine").values()) == 3


@pytest.mark.stack
def test_readers_never_fail_while_the_tables_are_written_compacted_and_vacuumed(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    champion: Champion,
    tables: LakeTables,
    housekeeping: Callable[..., Housekeeping],
) -> None:
    """A thousand reads by delta-rs, of every table in turn, through the whole of a busy run."""
    writer.champion = champion
    done, errors, reads = threading.Event(), list[Exception](), 0

    def read() -> None:
        nonlocal reads
        while not done.is_set() or reads < 1_000:
            name = list(TABLES)[reads % len(TABLES)]
            try:
                tables.query(f"SELECT * FROM {name}", name)
            except Exception as error:  # any error at all is the fault looked for
                errors.append(error)
                return
            reads += 1

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(8):
        writer.write(kafka.records(*(a_transaction(rng) for _ in range(5)), b"bad"))
        kafka.later(minutes=5)
        go_round(housekeeping(compact_after_files=2))
    done.set()
    reader.join()
    assert errors == []
    assert reads >= 1_000


@pytest.mark.stack
def test_housekeeping_keeps_the_protocol_and_what_the_next_start_needs(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    tables: LakeTables,
    housekeeping: Callable[..., Housekeeping],
) -> None:
    transaction = a_transaction(rng)
    for _ in range(4):
        writer.write(kafka.records(a_transaction(rng), transaction))
    go_round(housekeeping(compact_after_files=2))
    for name in TABLES:
        protocol = DeltaTable(table_uri(tables.lake, name)).protocol()
        assert (protocol.min_reader_version, protocol.min_writer_version) == PROTOCOL
    writer.restart()
    assert writer.write(kafka.records(transaction)).repeats == 1
    assert tables.frame("raw_transactions").count() == 5
