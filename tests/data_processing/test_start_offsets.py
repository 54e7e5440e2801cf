import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from kafka import KafkaProducer
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import a_transaction

from core.topics import BLOCKS, TRANSACTIONS
from data_processing.lake_tables import LakeTables
from data_processing.start_offsets import checkpoint_name, newest_rows, starting_offsets

pytestmark = pytest.mark.stack


def offsets(broker: str, times: dict[tuple[str, int], datetime]) -> dict[str, dict[str, int]]:
    offsets_by_topic: dict[str, dict[str, int]] = json.loads(starting_offsets(broker, times))
    return offsets_by_topic


def test_without_rows_everything_is_read(broker: str) -> None:
    assert offsets(broker, {}) == {TRANSACTIONS: {"0": 0, "1": 0}, BLOCKS: {"0": 0}}


def test_a_lost_checkpoint_reads_on_from_the_newest_row_of_each_partition(broker: str) -> None:
    producer = KafkaProducer(bootstrap_servers=broker)
    sent = [producer.send(BLOCKS, b"not a block", partition=0).get(10) for _ in range(3)]
    producer.close()
    at = datetime.fromtimestamp(sent[1].timestamp / 1_000, UTC)
    start = offsets(broker, {(BLOCKS, 0): at})[BLOCKS]["0"]
    assert start <= sent[1].offset
    assert start >= 0


def test_rows_newer_than_the_topic_mean_that_only_new_records_are_read(broker: str) -> None:
    producer = KafkaProducer(bootstrap_servers=broker)
    last = producer.send(BLOCKS, b"not a block", partition=0).get(10)
    producer.close()
    ahead = datetime.now(UTC) + timedelta(days=1)
    assert offsets(broker, {(BLOCKS, 0): ahead})[BLOCKS]["0"] == last.offset + 1


def test_another_lake_or_another_topic_has_another_checkpoint(broker: str) -> None:
    one = checkpoint_name("11111111-2222", broker)
    assert one == checkpoint_name("11111111-2222", broker)
    assert one != checkpoint_name("33333333-2222", broker)
    assert one.startswith("11111111-")


def test_the_newest_row_of_each_partition_is_known(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    assert newest_rows(tables) == {}
    writer.write(kafka.records(a_transaction(rng)))
    kafka.later(seconds=7)
    writer.write(kafka.records(a_transaction(rng)))
    assert newest_rows(tables) == {(TRANSACTIONS, 0): kafka.now}


def test_rejects_since_the_newest_row_are_not_written_twice_when_read_again(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    writer.write(kafka.records(a_transaction(rng)))
    records = kafka.records(b"bad", b"worse")
    writer.write(records)
    writer.restart()
    assert writer.write(records).rejects.num_rows == 0
    assert writer.write(kafka.records(b"another")).rejects.num_rows == 1
    assert tables.frame("quarantine").count() == 3
