"""The topic `bitcoin-anomalies` as the outbox of the webhook, and the position of what was posted.

What the webhook still has to post waits on the topic, not in memory. The position is a small file,
replaced as a whole after each post, with the topic's id: on a topic that was deleted and created
again it starts at the beginning. Without the file, posting starts with what is published from now
on; a file that cannot be read means the beginning, since nothing says what was posted.
"""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from core.kafka_access import client_options
from core.topics import ANOMALIES, FLAGGED
from data_processing.start_offsets import describe_topics, partition_numbers

log = logging.getLogger(__name__)


MessageKey = tuple[str, str]
"""The transaction's hash and the kind of the message: each is announced once."""


def message_key(content: Mapping[str, Any]) -> MessageKey:
    """The key of a message of any release."""
    return str(content["hash"]), str(content.get("kind", FLAGGED))


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """An anomaly message of the topic, and the partition and offset at which it is."""

    partition: int
    offset: int
    content: dict[str, Any]

    @property
    def key(self) -> MessageKey:
        """What the message announces."""
        return message_key(self.content)


class Outbox:
    """Reads `bitcoin-anomalies` in order, each partition from its position in the file `path`.

    Used by one thread at a time.
    """

    def __init__(self, bootstrap_servers: str, path: Path) -> None:
        self._servers, self._path = bootstrap_servers, path
        self._topic_id = ""
        self._positions: dict[int, int] = {}
        self._consumer: KafkaConsumer | None = None

    def open(self) -> None:
        """Go to the position in the file; without a file, to the topic's end, and write that down.

        To be called before anything is published. Raises `kafka.errors.KafkaError` when the topic
        cannot be read and `OSError` when the file cannot be written.
        """
        (topic,) = describe_topics(self._servers, [ANOMALIES])
        self._topic_id = str(topic["topic_id"])
        partitions = [TopicPartition(ANOMALIES, number) for number in partition_numbers(topic)]
        consumer = KafkaConsumer(
            **client_options(self._servers), auto_offset_reset="earliest", enable_auto_commit=False
        )
        consumer.assign(partitions)
        first, last = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        saved = self._load({p.partition: end for p, end in last.items()})
        for partition in partitions:
            position = saved.get(partition.partition, 0)
            # Below the beginning: expired; above the end: the broker was set back.
            position = max(first[partition], min(position, last[partition]))
            self._positions[partition.partition] = position
            consumer.seek(partition, position)
        self._consumer = consumer
        self._save()

    def next(self, wait_seconds: float) -> OutboxMessage | None:
        """The next message, waiting for one so long; a record that is no message is passed over.

        Raises `kafka.errors.KafkaError` when the topic cannot be read.
        """
        assert self._consumer is not None, "opened before"
        polled = self._consumer.poll(timeout_ms=int(wait_seconds * 1_000), max_records=1)
        for record in (record for records in polled.values() for record in records):
            if (content := message_content(record.value)) is not None:
                return OutboxMessage(record.partition, record.offset, content)
            log.warning("event=outbox_record_skipped offset=%d reason=not a message", record.offset)
        return None

    def mark_posted(self, message: OutboxMessage) -> None:
        """Note that everything up to this message of its partition is posted.

        Raises `OSError` when the file cannot be written; the next call writes it then.
        """
        self._positions[message.partition] = message.offset + 1
        self._save()

    def waiting(self) -> int:
        """How many records are not posted, as far as the last read saw."""
        assert self._consumer is not None, "opened before"
        return sum(
            max(0, (self._consumer.highwater(TopicPartition(ANOMALIES, number)) or 0) - position)
            for number, position in self._positions.items()
        )

    def close(self) -> None:
        """Leave the broker; the file keeps the position."""
        if self._consumer is not None:
            self._consumer.close()

    def _load(self, ends: Mapping[int, int]) -> Mapping[int, int]:
        """The saved positions: the ends where there is no file, none for another topic."""
        try:
            state = json.loads(self._path.read_bytes())
            if state["topic_id"] != self._topic_id:
                return {}
            return {int(number): int(offset) for number, offset in state["offsets"].items()}
        except FileNotFoundError:
            return ends
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning(
                "event=outbox_position_unreadable path=%s reason=%r; posting from the beginning",
                *(self._path, error),
            )
            return {}

    def _save(self) -> None:
        """Replace the file as a whole, synced, so that a power cut leaves the old or the new."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        with new.open("w") as file:
            json.dump({"topic_id": self._topic_id, "offsets": self._positions}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)


def message_content(value: bytes | None) -> dict[str, Any] | None:
    """The message in a record; None for a record that is not one."""
    try:
        content = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    is_message = all(isinstance(content.get(name), str) for name in ("hash", "explanation"))
    return content if is_message else None
