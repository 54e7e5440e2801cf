import os
import random
import shutil
import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from tests.data_processing.conftest import Kafka, Stream
from tests.data_processing.samples import a_hash, a_transaction

from core.detector.champion import Champion
from core.lake import table_uri
from core.settings import StreamSettings
from core.tables import TABLES
from data_processing.foundation import PROTOCOL
from data_processing.housekeeping import File, Housekeeping, files_of, to_compact
from data_processing.sinks import Sinks
from monitoring.stream_metrics import StreamMetrics

DAY = date(2026, 1, 2)
MB = 2**20


def test_only_small_files_of_today_are_joined_and_only_when_they_are_many() -> None:
    files = [File(DAY, 1 * MB)] * 60 + [File(DAY, 20 * MB)] * 100
    assert to_compact(files, DAY, 60) == {}
    assert to_compact([*files, File(DAY, 1)], DAY, 60) == {DAY: 16 * MB}


def test_a_day_that_has_ended_is_joined_once_more_and_then_left_alone() -> None:
    tomorrow = DAY + timedelta(days=1)
    assert to_compact([File(DAY, 20 * MB)] * 3, tomorrow, 60) == {DAY: 128 * MB}
    assert to_compact([File(DAY, 60 * MB), File(DAY, 120 * MB)], tomorrow, 60) == {}


def settings(**changes: int) -> StreamSettings:
    return StreamSettings.model_validate(changes)


@pytest.fixture
def at_noon(sinks: Sinks, metrics: StreamMetrics, kafka: Kafka) -> Callable[..., Housekeeping]:
    """House-keeping that looks whenever it is asked, by the clock of the records."""

    def make(**changes: int) -> Housekeeping:
        return Housekeeping(sinks, settings(**changes), metrics, now=lambda: kafka.now)

    return make


def of_another_time(row: pa.Table, at: datetime, rng: random.Random) -> pa.Table:
    """The same row as if Kafka had appended it then, with a hash of its own."""
    changed = {"hash": a_hash(rng), "append_time": at, "event_time": at, "date": at.date()}
    return pa.Table.from_pylist([row.to_pylist()[0] | changed], schema=row.schema)


@pytest.mark.stack
def test_files_stay_few_over_a_simulated_week_and_no_row_is_lost(
    stream: Stream,
    kafka: Kafka,
    rng: random.Random,
    sinks: Sinks,
    metrics: StreamMetrics,
    at_noon: Callable[..., Housekeeping],
    hashes_in: Callable[[str], list[str]],
) -> None:
    """By the default settings; a day has a hundred commits, twelve to a look as by default."""
    stream.take(kafka.records(a_transaction(rng)))
    row = sinks.ask("SELECT * FROM raw_transactions", "raw_transactions")
    keeping, most, commits = at_noon(), 0, 1
    for _ in range(7):
        for _ in range(9):
            for _ in range(12):
                kafka.later(seconds=5)
                sinks.add("raw_transactions", of_another_time(row, kafka.now, rng))
                commits += 1
            keeping.run()
            most = max(most, len(sinks_files(sinks, "raw_transactions")))
        kafka.later(days=1)
    keeping.run()
    assert most <= 60 + 7
    assert len(sinks_files(sinks, "raw_transactions")) == 7
    assert metrics.table_files.labels("raw_transactions")._value.get() == 7
    assert metrics.table_bytes.labels("raw_transactions")._value.get() > 7_000
    assert len(set(hashes_in("raw_transactions"))) == commits


@pytest.mark.stack
def test_a_sweep_removes_what_a_crash_left_behind_once_no_reader_can_need_it(
    stream: Stream,
    kafka: Kafka,
    rng: random.Random,
    sinks: Sinks,
    at_noon: Callable[..., Housekeeping],
    hashes_in: Callable[[str], list[str]],
) -> None:
    stream.take(kafka.records(a_transaction(rng)))
    (whole,) = Path(sinks.lake, "raw_transactions").glob("date=*/*.parquet")
    old, young = whole.with_name("old.parquet"), whole.with_name("young.parquet")
    for copy in (old, young):
        shutil.copy(whole, copy)
    for file in (old, whole):
        os.utime(file, (time.time() - 3 * 3_600,) * 2)
    at_noon().run()
    assert (old.exists(), young.exists(), whole.exists()) == (False, True, True)
    assert len(hashes_in("raw_transactions")) == 1


def sinks_files(sinks: Sinks, name: str) -> list[File]:
    return files_of(DeltaTable(table_uri(sinks.lake, name)))


@pytest.mark.stack
def test_rows_past_their_time_are_dropped_with_their_whole_date(
    stream: Stream,
    kafka: Kafka,
    rng: random.Random,
    champion: Champion,
    at_noon: Callable[..., Housekeeping],
    hashes_in: Callable[[str], list[str]],
) -> None:
    stream.champion = champion
    old, new = a_transaction(rng), a_transaction(rng)
    stream.take(kafka.records(old, b"bad"))
    kafka.later(days=10)
    stream.take(kafka.records(new))
    at_noon(retention_days=9).run()
    for table in ("raw_transactions", "scored_transactions"):
        assert hashes_in(table) == [new["hash"]]
    assert stream.sinks.rows_by_date("quarantine") == {}


@pytest.mark.stack
def test_readers_never_fail_while_the_tables_are_written_compacted_and_vacuumed(
    stream: Stream,
    kafka: Kafka,
    rng: random.Random,
    champion: Champion,
    sinks: Sinks,
    at_noon: Callable[..., Housekeeping],
) -> None:
    """A thousand reads by delta-rs, of every table in turn, through the whole of a busy run."""
    stream.champion = champion
    done, errors, reads = threading.Event(), list[Exception](), 0

    def read() -> None:
        nonlocal reads
        while not done.is_set() or reads < 1_000:
            name = list(TABLES)[reads % len(TABLES)]
            try:
                sinks.ask(f"SELECT * FROM {name}", name)
            except Exception as error:  # any error at all is the fault looked for
                errors.append(error)
                return
            reads += 1

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(8):
        stream.take(kafka.records(*(a_transaction(rng) for _ in range(5)), b"bad"))
        kafka.later(minutes=5)
        at_noon(compact_after_files=2).run()
    done.set()
    reader.join()
    assert errors == []
    assert reads >= 1_000


@pytest.mark.stack
def test_house_keeping_keeps_the_protocol_and_what_the_next_start_needs(
    stream: Stream,
    kafka: Kafka,
    rng: random.Random,
    sinks: Sinks,
    at_noon: Callable[..., Housekeeping],
) -> None:
    transaction = a_transaction(rng)
    for _ in range(4):
        stream.take(kafka.records(a_transaction(rng), transaction))
    at_noon(compact_after_files=2).run()
    for name in TABLES:
        protocol = DeltaTable(table_uri(sinks.lake, name)).protocol()
        assert (protocol.min_reader_version, protocol.min_writer_version) == PROTOCOL
    stream.restart()
    assert stream.take(kafka.records(transaction)).repeats == 1
    assert sinks.frame("raw_transactions").count() == 5
