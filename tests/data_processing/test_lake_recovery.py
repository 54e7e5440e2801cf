"""Damaged Delta logs of the stream's tables: what the next start repairs and reads again."""

import random
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame
from tests.support.delta_tables import cut_off_checkpoint, empty_newest_commit
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import a_transaction

from core.delta_log import LogDamagedError
from core.detector.champion import Champion
from data_processing.chores.backlog import score_date, unscored_dates
from data_processing.lake_recovery import delete_unbacked_scores, repair_logs, restore_movements
from data_processing.start_offsets import written_records
from data_processing.stream_checkpoint import checkpoints_folder

pytestmark = pytest.mark.stack


@pytest.fixture
def written(
    writer: Writer, kafka: FakeKafka, rng: random.Random, champion: Champion
) -> list[DataFrame]:
    """Three scored micro-batches of two transactions and a reject, as they were in Kafka."""
    writer.champion = champion
    batches = []
    for _ in range(3):
        batches.append(kafka.records(a_transaction(rng), a_transaction(rng), b"bad"))
        writer.write(batches[-1])
        kafka.later(minutes=1)
    return batches


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = checkpoints_folder(tmp_path) / "a checkpoint"
    folder.mkdir(parents=True)
    return folder


def restart(writer: Writer, data_dir: Path) -> None:
    """Start again on the same tables; a new process would not have this one's copy of the logs."""
    jvm: Any = writer.tables.spark.sparkContext._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    repair_logs(writer.tables.lake, data_dir)
    delete_unbacked_scores(writer.tables)
    restore_movements(writer.tables)
    writer.restart()


def assert_once(writer: Writer) -> None:
    raw, scored = writer.hashes_in("raw_transactions"), writer.hashes_in("scored_transactions")
    assert len(raw) == len(set(raw)) == 6
    assert raw == scored
    assert writer.tables.frame("quarantine").count() == 3


def test_a_damaged_checkpoint_of_the_log_stops_nobody(
    writer: Writer, kafka: FakeKafka, written: list[DataFrame], checkpoint: Path, tmp_path: Path
) -> None:
    cut_off_checkpoint(Path(writer.tables.lake, "raw_transactions"))
    with pytest.raises(LogDamagedError, match="restart the stream, which repairs it"):
        writer.tables.open("raw_transactions")
    restart(writer, tmp_path)
    assert checkpoint.is_dir(), "no row is lost, so the query resumes"
    writer.write(kafka.records(b"one more"))
    assert writer.tables.frame("raw_transactions").count() == 6, "Spark reads it too"
    assert writer.tables.open("raw_transactions").count() == 6


@pytest.mark.parametrize("names", [["raw_transactions"], ["quarantine", "scored_transactions"]])
def test_the_rows_of_a_lost_commit_are_read_again_and_none_is_doubled(
    writer: Writer, written: list[DataFrame], checkpoint: Path, tmp_path: Path, names: list[str]
) -> None:
    for name in names:
        empty_newest_commit(Path(writer.tables.lake, name))
    restart(writer, tmp_path)
    assert not checkpoint.exists(), "the query must start where the tables say"
    assert bool(written_records(writer.tables)) == ("quarantine" not in names)
    for records in written[1:]:
        writer.write(records)
    if "scored_transactions" in names:
        score_backlog(writer)
    assert_once(writer)


def score_backlog(writer: Writer) -> None:
    for day, count in unscored_dates(writer.tables).items():
        score_date(writer.tables, day, count, writer.broadcast)


def test_lost_rejects_are_read_again_although_later_transactions_are_there(
    writer: Writer, written: list[DataFrame], tmp_path: Path
) -> None:
    assert written_records(writer.tables)
    empty_newest_commit(Path(writer.tables.lake, "quarantine"))
    restart(writer, tmp_path)
    assert not written_records(writer.tables), "the query starts at the first record"


def test_a_table_that_cannot_be_repaired_is_named_before_any_is_changed(
    writer: Writer, written: list[DataFrame], checkpoint: Path, tmp_path: Path
) -> None:
    empty_newest_commit(Path(writer.tables.lake, "quarantine"))
    log = Path(writer.tables.lake, "raw_transactions", "_delta_log")
    (log / f"{2:020}.json").write_bytes(b"")
    with pytest.raises(LogDamagedError, match="raw_transactions.*restore the lake from a backup"):
        repair_logs(writer.tables.lake, tmp_path)
    assert checkpoint.is_dir()
    assert not list(Path(writer.tables.lake).rglob("*.damaged"))
