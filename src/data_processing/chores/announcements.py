"""Publishes flagged and watched transactions to `bitcoin-anomalies`, for whoever reads the topic.

Only committed rows of `scored_transactions` and `watched` are published, as read from the table.
What a crash left unpublished is found at the next start by comparing the tables with the topic.
"""

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from core.kafka_access import client_options
from core.mutes import MutesReader
from core.topics import ANOMALIES, FLAGGED, WATCHED
from data_processing.chores.announced_rows import (
    AnnouncedRows,
    FlaggedRows,
    Message,
    WatchedRows,
)
from data_processing.chores.outbox import MessageKey, message_content, message_key
from data_processing.lake_tables import LakeTables
from data_processing.micro_batch import MicroBatch
from data_processing.start_offsets import describe_topics, partition_numbers
from monitoring.stream_metrics import StreamMetrics

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_ROWS_AT_ONCE = 500
_BLOCK_MS, _DELIVERY_MS = 5_000, 10_000
"""Longest wait for the broker's metadata, and for the answer to a record."""


class Announcements:
    """A chore: publishes each flagged or watched transaction once it is committed."""

    name = "announcements"

    def __init__(
        self,
        tables: LakeTables,
        bootstrap_servers: str,
        metrics: StreamMetrics,
        clock: Callable[[], float] = time.monotonic,
        mutes: MutesReader | None = None,
    ) -> None:
        self._rows: dict[str, AnnouncedRows] = {
            FLAGGED: FlaggedRows(tables, mutes),
            WATCHED: WatchedRows(tables),
        }
        self._published = {FLAGGED: metrics.announced, WATCHED: metrics.watched_announced}
        self._muted, self._latency = metrics.muted, metrics.seen_to_announced
        self._servers, self._clock = bootstrap_servers, clock
        self._producer: KafkaProducer | None = None
        self._unpublished: list[Message] = []
        self._commits: list[tuple[str, datetime]] = []
        self._not_before = 0.0

    def recover(self, horizon: timedelta) -> None:
        """Find the rows that are not on the topic, among those of the last `horizon`.

        Raises `kafka.errors.KafkaError` when the topic cannot be read.
        """
        newest = {kind: at for kind, rows in self._rows.items() if (at := rows.newest())}
        if not newest:
            return
        published = published_keys(self._servers)
        for kind, at in newest.items():
            last = min(at, datetime.now(UTC))  # a clock that was ahead for once hides no row
            messages = self._rows[kind].since(last - horizon)
            self._unpublished += [m for m in messages if message_key(m) not in published]

    def on_batch(self, batch: MicroBatch) -> None:
        """Note a micro-batch that has flagged or watched transactions."""
        if batch.flagged:
            self.on_scored(batch.scored_at)
        if batch.watched:
            self._commits.append((WATCHED, batch.scored_at))

    def on_scored(self, scored_at: datetime) -> None:
        """Note a commit of `scored_transactions` that may have flagged transactions."""
        self._commits.append((FLAGGED, scored_at))

    def due(self) -> bool:
        """Whether rows are unpublished and the broker has not failed in the last 5 seconds."""
        return bool(self._commits or self._unpublished) and self._clock() >= self._not_before

    def run(self) -> None:
        """Publish all unpublished rows; when the broker fails, keep them for the next run."""
        while self._commits:
            kind, at = self._commits[0]
            self._unpublished += self._rows[kind].of_commit(at)
            self._commits.pop(0)
        try:
            while self._unpublished:
                self._publish(self._unpublished[:_ROWS_AT_ONCE])
        except KafkaError as error:
            log.warning(
                "event=publishing_failed unpublished=%d reason=%s", len(self._unpublished), error
            )
            self._not_before = self._clock() + _RETRY_SECONDS

    def _publish(self, messages: list[Message]) -> None:
        """Send messages together; each leaves the list when the broker has acknowledged it.

        Raises the first `KafkaError` after every message has its answer: none that the broker has
        acknowledged is sent again.
        """
        if self._producer is None:
            self._producer = KafkaProducer(
                **client_options(self._servers),
                max_block_ms=_BLOCK_MS,
                request_timeout_ms=_DELIVERY_MS // 2,
                delivery_timeout_ms=_DELIVERY_MS,
            )
        answers, first_error = [], None
        for message in messages:
            try:
                answers.append((message, _send(self._producer, message)))
            except KafkaError as error:
                first_error = error
                break
        for message, answer in answers:
            try:
                answer.get(timeout=2 * _DELIVERY_MS / 1_000)
            except KafkaError as error:
                first_error = first_error or error
            else:
                self._unpublished.remove(message)
                self._published[message["kind"]].inc()
                if message["first_seen"] is not None:
                    self._latency.observe(time.time() - message["first_seen"])
                if message.get("muted_by"):
                    self._muted.inc()
        if first_error is not None:
            raise first_error


def _send(producer: KafkaProducer, message: Message) -> Any:
    value = json.dumps(message, allow_nan=False).encode()
    return producer.send(ANOMALIES, value, key=message["hash"].encode())


def published_keys(bootstrap_servers: str) -> set[MessageKey]:
    """What is announced on `bitcoin-anomalies` now."""
    (topic,) = describe_topics(bootstrap_servers, [ANOMALIES])
    partitions = [TopicPartition(ANOMALIES, number) for number in partition_numbers(topic)]
    consumer = KafkaConsumer(**client_options(bootstrap_servers))
    try:
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(partitions)
        keys: set[MessageKey] = set()
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=1_000).values():
                contents = (message_content(record.value) for record in records)
                keys |= {message_key(content) for content in contents if content is not None}
        return keys
    finally:
        consumer.close()
