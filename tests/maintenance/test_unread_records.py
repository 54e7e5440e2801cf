"""What Kafka has behind the newest rows is found, and is held once more by the producer."""

import random
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from kafka import TopicPartition
from tests.support.stream_samples import a_block, a_transaction, as_json

from core.topics import BLOCKS, TRANSACTIONS
from data_ingestion.journal import Journal
from maintenance.unread_records import Place, _starts, hold

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
WHERE = TopicPartition(TRANSACTIONS, 0)


class FakeTopic:
    """A partition with a record each second from `NOON` on, of which the first were deleted."""

    def __init__(self, first: int, end: int) -> None:
        self.first, self.end = first, end

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.first)

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.end)

    def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, object]:
        (milliseconds,) = times.values()
        offset = max(self.first, round(milliseconds / 1_000 - NOON.timestamp()))
        return dict.fromkeys(times, SimpleNamespace(offset=offset) if offset < self.end else None)


@pytest.mark.parametrize(
    ("offset", "seconds", "start"),
    [
        (30, 30, 30),  # the newest row itself is read again, as are others of its time
        (30, 90, 31),  # a row is stamped ahead
        (150, 40, 40),  # the topic was created again, and has grown again
        (150, 900, 20),  # nothing of it is there: all is read
        (5, 5, 20),  # what followed was deleted by Kafka
        (99, 99, 99),
    ],
)
def test_reading_starts_at_or_before_what_the_lake_lacks(
    offset: int, seconds: int, start: int
) -> None:
    newest = Place(TRANSACTIONS, 0, offset, NOON + timedelta(seconds=seconds))
    assert _starts(FakeTopic(20, 100), [WHERE], [newest]) == {WHERE: start}


def test_a_partition_without_a_row_is_read_from_its_beginning() -> None:
    assert _starts(FakeTopic(20, 100), [WHERE], []) == {WHERE: 20}
    elsewhere = Place(TRANSACTIONS, 7, 30, NOON)
    assert _starts(FakeTopic(20, 100), [WHERE], [elsewhere]) == {WHERE: 20}


def test_what_the_producer_could_have_sent_is_held_and_nothing_else(tmp_path: Path) -> None:
    rng, path = random.Random(1), tmp_path / "journal.sqlite"
    Journal(path, 7).close()
    good = a_transaction(rng)
    values = [
        (TRANSACTIONS, good["hash"].encode(), as_json(good)),
        (TRANSACTIONS, None, b"garbage"),
        (TRANSACTIONS, b"\xff", None),
        (BLOCKS, b"b", as_json(a_block(rng, 5, [good["hash"]]))),
    ]
    hold(path, [SimpleNamespace(topic=t, key=k, value=v) for t, k, v in values])
    with closing(Journal(path, 7)) as journal:
        held = [(record.topic, record.key, record.mark) for record in journal.held()]
    assert held == [(TRANSACTIONS, good["hash"], None), (BLOCKS, "b", None)]
