import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kafka import KafkaProducer
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import a_block, a_hash, a_transaction, as_json

from core.topics import BLOCKS, TRANSACTIONS
from data_processing.lake_tables import LakeTables
from data_processing.start_offsets import (
    WrittenRecord,
    checkpoint_name,
    starting_offsets,
    written_records,
)

pytestmark = pytest.mark.stack

AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


def offsets(broker: str, *written: WrittenRecord) -> dict[str, dict[str, int]]:
    offsets_by_topic: dict[str, dict[str, int]] = json.loads(starting_offsets(broker, written))
    return offsets_by_topic


@pytest.fixture
def sent(broker: str, rng: random.Random) -> dict[str, list[WrittenRecord]]:
    """Four records of each topic, as the tables have them once they are written."""
    producer = KafkaProducer(bootstrap_servers=broker)
    records: dict[str, list[WrittenRecord]] = {TRANSACTIONS: [], BLOCKS: []}
    for height in range(4):
        for topic, record in (
            (TRANSACTIONS, a_transaction(rng)),
            (BLOCKS, a_block(rng, height, [])),
        ):
            receipt = producer.send(topic, as_json(record), partition=0).get(10)
            at = datetime.fromtimestamp(receipt.timestamp / 1_000, UTC)
            written = WrittenRecord(topic, 0, receipt.offset, record["hash"], at)
            records[topic].append(written)
            wait_until_past(at)
    producer.close()
    return records


def wait_until_past(at: datetime) -> None:
    """The next record gets a later millisecond."""
    while datetime.now(UTC) - at < timedelta(milliseconds=2):
        pass


def test_without_rows_everything_is_read(broker: str) -> None:
    assert offsets(broker) == {TRANSACTIONS: {"0": 0, "1": 0}, BLOCKS: {"0": 0}}


def test_a_lost_checkpoint_reads_on_from_the_last_record_that_is_written(
    broker: str, sent: dict[str, list[WrittenRecord]]
) -> None:
    transactions, (_, _, block, _) = sent[TRANSACTIONS], sent[BLOCKS]
    written = [*transactions[1:3], replace(block, offset=None)]
    assert transactions[2].offset is not None
    assert transactions[2].offset > 0
    assert offsets(broker, *written) == {
        TRANSACTIONS: {"0": transactions[2].offset, "1": 0},
        BLOCKS: {"0": block.offset},
    }


@pytest.mark.parametrize(
    "change",
    [
        {"append_time": datetime(2100, 1, 1, tzinfo=UTC)},
        {"append_time": datetime(2026, 1, 1, tzinfo=UTC)},
        {"hash": "0" * 64},
        {"offset": 10**9},
    ],
)
def test_a_row_that_is_not_of_this_topic_skips_no_record(
    broker: str, sent: dict[str, list[WrittenRecord]], change: dict[str, Any]
) -> None:
    """Rows that are stamped ahead, and rows of a topic that was created again."""
    rows = [replace(sent[TRANSACTIONS][-1], **change)]
    rows.append(replace(sent[BLOCKS][-1], **({"offset": None, "append_time": AHEAD} | change)))
    assert offsets(broker, *rows) == {TRANSACTIONS: {"0": 0, "1": 0}, BLOCKS: {"0": 0}}


def test_a_topic_whose_record_cannot_be_parsed_is_read_from_its_start(
    broker: str, sent: dict[str, list[WrittenRecord]]
) -> None:
    producer = KafkaProducer(bootstrap_servers=broker)
    receipt = producer.send(BLOCKS, b"not a block", partition=0).get(10)
    producer.close()
    at = datetime.fromtimestamp(receipt.timestamp / 1_000, UTC)
    row = WrittenRecord(BLOCKS, 0, None, sent[BLOCKS][0].hash, at)
    assert offsets(broker, row)[BLOCKS] == {"0": 0}


def test_another_lake_or_another_topic_has_another_checkpoint(broker: str) -> None:
    one = checkpoint_name("11111111-2222", broker)
    assert one == checkpoint_name("11111111-2222", broker)
    assert one != checkpoint_name("33333333-2222", broker)
    assert one.startswith("11111111-")


def test_the_newest_and_the_last_row_of_each_partition_are_known(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    assert written_records(tables) == []
    ahead, last, block = a_transaction(rng), a_transaction(rng), a_block(rng, 5, [a_hash(rng)])
    kafka.later(days=2)
    writer.write(kafka.records(a_transaction(rng), ahead))
    stamped_ahead = kafka.now
    kafka.later(days=-2, seconds=7)
    writer.write(kafka.records(last))
    writer.write(kafka.records(block, topic=BLOCKS))
    assert written_records(tables) == [
        WrittenRecord(TRANSACTIONS, 0, 1, ahead["hash"], stamped_ahead),
        WrittenRecord(TRANSACTIONS, 0, 2, last["hash"], kafka.now),
        WrittenRecord(BLOCKS, 0, None, block["hash"], kafka.now),
    ]


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
