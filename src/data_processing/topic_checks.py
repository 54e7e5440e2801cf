"""Checks that the topics are those which the query has read, with the times that it relies on."""

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

from core.kafka_access import client_options
from data_processing.stream_checkpoint import Offsets

_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_TIMESTAMP_TYPE, _APPEND_TIME = "message.timestamp.type", "LogAppendTime"
_OUTAGE_SECONDS, _RETRY_SECONDS = 60.0, 1.0


class TopicSettingError(RuntimeError):
    """A topic lacks a setting that the stream relies on."""


class TopicReplacedError(RuntimeError):
    """A topic was deleted and created again while the query runs."""


def check_append_times(bootstrap_servers: str, topics: Sequence[str]) -> None:
    """Raise `TopicSettingError` for a topic whose records have their producers' times.

    Raises `kafka.errors.KafkaError` while no broker answers.
    """
    admin = KafkaAdminClient(**client_options(bootstrap_servers))
    try:
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
        configs = admin.describe_configs(resources, config_filter="all")["topic"]
    finally:
        admin.close()
    for topic in topics:
        if configs[topic][_TIMESTAMP_TYPE]["value"] != _APPEND_TIME:
            raise TopicSettingError(
                f"the records of {topic} have the times of their producers, but the stream needs "
                f"the broker's: kafka-configs.sh --bootstrap-server {bootstrap_servers} --alter "
                f"--topic {topic} --add-config {_TIMESTAMP_TYPE}={_APPEND_TIME}"
            )


def find_cut(
    bootstrap_servers: str, position: Offsets, newest: Mapping[tuple[str, int], datetime]
) -> str | None:
    """Why the query cannot go on at a position: a partition's log has lost its end; else None.

    The log may have grown beyond the position again. So it is also asked for the record of the
    `newest` row of each partition, which is there unless it has expired. Raises
    `kafka.errors.KafkaError` while no broker answers.
    """
    partitions = {
        TopicPartition(topic, int(number)): offset
        for topic, offsets in position.items()
        for number, offset in offsets.items()
    }
    consumer = KafkaConsumer(**client_options(bootstrap_servers))
    try:
        ends = consumer.end_offsets(list(partitions))
        for where, offset in partitions.items():
            name = f"{where.topic}-{where.partition}"
            if ends[where] < offset:
                return f"{name} ends at offset {ends[where]}, before {offset}"
            at = newest.get((where.topic, where.partition))
            # At offset 0, the rows are of the topic's predecessor.
            if offset and at is not None and _is_gone(consumer, where, at):
                return f"{name} has lost the record of its newest row, of {at.isoformat()}"
    finally:
        consumer.close()
    return None


def _is_gone(consumer: KafkaConsumer, where: TopicPartition, at: datetime) -> bool:
    """Whether a log has no record of a time that is not before its first record."""
    millis = kafka_timestamp(at)
    first = consumer.offsets_for_times({where: millis})[where]
    if first is not None and first.timestamp == millis:
        return False
    begin = consumer.beginning_offsets([where])[where]
    expired = begin > 0 and (first is None or first.offset == begin)
    return not expired


def kafka_timestamp(append_time: datetime) -> int:
    """Kafka's timestamp of a record, a Unix time in milliseconds.

    >>> kafka_timestamp(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000
    """
    return (append_time - _EPOCH) // _MILLISECOND


class TopicGuard:
    """Remembers the ids of topics, to notice when one is deleted and created again.

    Spark knows topics by their names: it would go on in the new one at the old one's offset. A
    broker that restarts, or does not know its topics yet, is waited for until `stop` is set, at
    most a minute; then `kafka.errors.KafkaError` is raised.
    """

    def __init__(
        self, bootstrap_servers: str, topics: Sequence[str], stop: threading.Event
    ) -> None:
        self._servers, self._topics, self._stop = bootstrap_servers, list(topics), stop
        self._admin: KafkaAdminClient | None = None
        self._ids = self._wait_for_ids()

    def check(self) -> None:
        """Raise `TopicReplacedError` if a topic is another one now."""
        ids = self._wait_for_ids()
        if replaced := [topic for topic in self._topics if ids[topic] != self._ids[topic]]:
            raise TopicReplacedError(
                f"{', '.join(replaced)} was deleted and created again: start the stream again, "
                "and it reads the new topic from its first record"
            )

    def close(self) -> None:
        """Close the connection to the broker."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def _wait_for_ids(self) -> dict[str, str]:
        deadline = time.monotonic() + _OUTAGE_SECONDS
        while True:
            try:
                return self._read_ids()
            except KafkaError:
                self.close()
                if self._stop.wait(_RETRY_SECONDS) or time.monotonic() > deadline:
                    raise

    def _read_ids(self) -> dict[str, str]:
        if self._admin is None:
            self._admin = KafkaAdminClient(**client_options(self._servers))
        topics = self._admin.describe_topics(self._topics)
        if absent := [topic["name"] for topic in topics if not topic["topic_id"]]:
            raise UnknownTopicOrPartitionError(f"there is no topic {', '.join(absent)}")
        return {topic["name"]: str(topic["topic_id"]) for topic in topics}
