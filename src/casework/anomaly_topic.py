"""Reads `bitcoin-anomalies` in order, from positions that are kept with what was made of it.

A position belongs to a topic's id and partition: a topic that was deleted and created again is
another one, and is read from its beginning, as is one whose broker was set back. What is read twice
is recognised by its key.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaTimeoutError

from core.kafka_access import client_options
from core.topics import ANOMALIES

_SAME_TOPIC_SECONDS = 30.0
"""How often it is asked whether the topic is still the one that is read."""

_MOST_RECORDS = 500
"""Records of one read, which become one commit."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record's value, and when Kafka appended it."""

    value: bytes | None
    appended_at: datetime


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one partition that follow on each other.

    `application` names topic and partition, and `position` is the offset behind the last record:
    the next start continues there once both are committed.
    """

    application: str
    position: int
    records: tuple[Record, ...]


class AnomalyTopic:
    """A consumer of every partition of the topic, which exists. Used by one thread."""

    def __init__(self, bootstrap_servers: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._servers, self._clock = bootstrap_servers, clock
        self._consumer: KafkaConsumer | None = None
        self._topic_id, self._ask_again = "", 0.0

    def open(self, position: Callable[[str], int | None]) -> None:
        """Go to the positions that `position` has for each application; without, to the beginning.

        Raises `kafka.errors.KafkaError` when the topic cannot be read.
        """
        self.close()
        topic = self._describe()
        self._topic_id = str(topic["topic_id"])
        numbers = [partition["partition_index"] for partition in topic["partitions"]]
        partitions = [TopicPartition(ANOMALIES, number) for number in sorted(numbers)]
        consumer = KafkaConsumer(
            **client_options(self._servers), auto_offset_reset="earliest", enable_auto_commit=False
        )
        self._consumer = consumer
        consumer.assign(partitions)
        first, last = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        for each in partitions:
            saved = position(self._application(each.partition))
            there = saved is not None and first[each] <= saved <= last[each]
            consumer.seek(each, saved if there else first[each])

    def read(self, wait_seconds: float) -> list[Records]:
        """What has come, waiting for it so long.

        Raises `TopicReplacedError` when the topic is another than the one that was opened, and
        `kafka.errors.KafkaError` when it cannot be read.
        """
        assert self._consumer is not None, "opened before"
        if self._clock() >= self._ask_again:
            self._ask_again = self._clock() + _SAME_TOPIC_SECONDS
            if str(self._describe()["topic_id"]) != self._topic_id:
                raise TopicReplacedError(f"{ANOMALIES} was deleted and created again")
        polled = self._consumer.poll(int(wait_seconds * 1_000), max_records=_MOST_RECORDS)
        return [
            Records(
                self._application(where.partition),
                records[-1].offset + 1,
                tuple(Record(r.value, _utc(r.timestamp)) for r in records),
            )
            for where, records in polled.items()
            if records
        ]

    def lag(self) -> int:
        """How many records are not read, as far as the last read saw."""
        assert self._consumer is not None, "opened before"
        return sum(
            max(0, (self._consumer.highwater(where) or 0) - self._consumer.position(where))
            for where in self._consumer.assignment()
        )

    def close(self) -> None:
        """Leave the broker."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _application(self, partition: int) -> str:
        return f"{self._topic_id}/{partition}"

    def _describe(self) -> dict[str, Any]:
        """The broker's description of the topic, which has partitions."""
        admin = KafkaAdminClient(**client_options(self._servers))
        try:
            topic: dict[str, Any] = admin.describe_topics([ANOMALIES])[0]
        finally:
            admin.close()
        if not topic["partitions"]:
            raise KafkaTimeoutError(f"{ANOMALIES} has no partitions yet")
        return topic


class TopicReplacedError(RuntimeError):
    """The topic that was read is not there any more; another one has its name."""


def _utc(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(max(0, milliseconds) / 1_000, UTC)
