"""What is restored goes on: beside the Kafka of before and beside a new one, every record once."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaProducer
from tests.support.kept_data import data_in, rows
from tests.support.stream_processes import KafkaProcess, wait_for
from tests.support.stream_rig import Rig, values

from data_ingestion.journal import Journal, Record
from maintenance.backup import make_backup
from maintenance.data_folder import JOURNAL
from maintenance.restore import restore_backup

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1_200)]


@pytest.fixture
def brokers(java: None, tmp_path: Path) -> Iterator[list[KafkaProcess]]:
    """The Kafka of before, and a new one, which is started later."""
    brokers = [KafkaProcess(tmp_path / name) for name in ("kafka", "new_kafka")]
    brokers[0].start()
    yield brokers
    for broker in brokers:
        broker.kill()


def back_up(rig: Rig, file: Path) -> set[str]:
    """Back up while everything goes on; the hashes that Kafka had before."""
    before = set(rig.load.sent)
    with file.open("wb") as out:
        make_backup(
            data_in(rig.data), rig.kafka.servers, out, lambda sentence: pytest.fail(sentence)
        )
    return before


def restored(file: Path, kafka: KafkaProcess, folder: Path) -> tuple[Rig, set[str]]:
    """A stack on what is restored, not started; the hashes that the producer still sends."""
    data = data_in(folder / "data")
    with file.open("rb") as archive:
        restore_backup(data, archive)
    rig = Rig(kafka, folder, folder / "data")
    with closing(Journal(data.place(JOURNAL), 7)) as journal:
        held = journal.held()
    send(kafka.servers, held)
    return rig, {record.key for record in held}


def send(servers: str, records: list[Record]) -> None:
    """What the producer does at its start with the records that it holds."""
    producer = KafkaProducer(bootstrap_servers=servers)
    for record in records:
        producer.send(record.topic, record.value, key=record.key.encode())
    producer.flush()
    producer.close()


def go_on(rig: Rig) -> None:
    """Start load and stream, and wait until all that Kafka has been given is in the tables."""
    rig.load.start()
    rig.stream.start()
    rig.wait_for_progress()
    rig.settle()
    rig.assert_once()
    assert rig.stream.stop() == 0


def test_what_is_restored_goes_on_and_nothing_is_lost_or_doubled(
    brokers: list[KafkaProcess], tmp_path: Path
) -> None:
    old, new = brokers
    rig = Rig(old, tmp_path, tmp_path / "data")
    Journal(data_in(rig.data).place(JOURNAL), 7).close()
    try:
        rig.load.start()
        rig.stream.start()
        rig.wait_for_progress()
        back_up(rig, tmp_path / "running.tar")
        rig.stream.kill()
        known = set(values(rig.data, "raw_transactions", "hash"))
        wait_for(lambda: len(rig.load.sent - known) > 50, "records that the lake lacks")
        before = back_up(rig, tmp_path / "behind.tar")
    finally:
        rig.close()

    (tmp_path / "beside_old").mkdir()
    beside_old, _ = restored(tmp_path / "running.tar", old, tmp_path / "beside_old")
    try:
        go_on(beside_old)
        assert rig.load.sent <= set(values(beside_old.data, "raw_transactions", "hash"))
        assert rig.load.garbage <= set(values(beside_old.data, "quarantine", "value"))
    finally:
        beside_old.close()
    old.kill()

    new.start()
    (tmp_path / "beside_new").mkdir()
    beside_new, held = restored(tmp_path / "behind.tar", new, tmp_path / "beside_new")
    scores = rows(data_in(beside_new.data), "lake", "scored_transactions")
    assert before - known <= held, "what Kafka alone had"
    try:
        go_on(beside_new)
        assert before <= set(values(beside_new.data, "raw_transactions", "hash"))
        now = set(rows(data_in(beside_new.data), "lake", "scored_transactions"))
        assert set(scores) <= now, "no verdict is given again"
    finally:
        beside_new.close()
