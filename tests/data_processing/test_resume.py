import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from kafka import KafkaProducer
from tests.data_processing.conftest import Kafka, Stream
from tests.data_processing.samples import a_transaction

from core.topics import BLOCKS, TRANSACTIONS
from data_processing import resume
from data_processing.sinks import Sinks

pytestmark = pytest.mark.stack


def offsets(broker: str, times: dict[tuple[str, int], datetime]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(resume.starting_offsets(broker, times))
    return found


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
    one = resume.checkpoint_name("11111111-2222", broker)
    assert one == resume.checkpoint_name("11111111-2222", broker)
    assert one != resume.checkpoint_name("33333333-2222", broker)
    assert one.startswith("11111111-")


def test_the_newest_row_of_each_partition_is_known(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks
) -> None:
    assert resume.newest(sinks) == {}
    stream.take(kafka.records(a_transaction(rng)))
    kafka.later(seconds=7)
    stream.take(kafka.records(a_transaction(rng)))
    assert resume.newest(sinks) == {(TRANSACTIONS, 0): kafka.now}


def test_rejects_since_the_newest_row_are_not_written_twice_when_read_again(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks
) -> None:
    stream.take(kafka.records(a_transaction(rng)))
    batch = kafka.records(b"bad", b"worse")
    stream.take(batch)
    stream.restart()
    assert stream.take(batch).rejects.num_rows == 0
    assert stream.take(kafka.records(b"another")).rejects.num_rows == 1
    assert sinks.frame("quarantine").count() == 3
