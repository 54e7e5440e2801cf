"""Tells the world of flagged transactions: `bitcoin-anomalies`, and a webhook where one is set.

Only what is committed in `scored_transactions` is published, read from there. What a crash kept
from being published is found at the next start by comparing the two.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from core.detector import explanation as wording
from core.detector.verdict import Reason, Verdict
from core.lake import sql_time
from core.topics import ANOMALIES
from core.transaction import NUMERIC_FIELDS
from data_processing.intake import Taken
from data_processing.resume import described, partitions_of
from data_processing.sinks import Sinks
from monitoring.stream_metrics import StreamMetrics

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_AT_ONCE = 500
_VERDICT = ("anomaly_score", "percentile", "threshold", "is_anomaly", "pattern", "model_version")
_COPIED = ("hash", *NUMERIC_FIELDS, "fee_rate", *_VERDICT, "reasons")


class Listener(Protocol):
    """One who is told of anomalies as they are published."""

    def tell(self, announcement: dict[str, Any]) -> None:
        """Take one; must neither block nor raise."""


def announcement(row: dict[str, Any]) -> dict[str, Any]:
    """What is said of a flagged row of `scored_transactions`: the row, and why in a sentence."""
    reasons = tuple(Reason(**reason) for reason in row["reasons"])
    verdict = Verdict(**{name: row[name] for name in _VERDICT}, reasons=reasons)
    told = {name: row[name] for name in _COPIED}
    return told | {
        "event_time": row["event_time"].isoformat(),
        "explanation": wording.explanation(verdict),
    }


class Announcements:
    """A chore: publishes each flagged transaction, and tells it on."""

    name = "announcements"

    def __init__(
        self,
        sinks: Sinks,
        bootstrap_servers: str,
        listeners: Iterable[Listener],
        metrics: StreamMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sinks, self._servers, self._metrics = sinks, bootstrap_servers, metrics
        self._listeners, self._clock = tuple(listeners), clock
        self._producer: KafkaProducer | None = None
        self._waiting: list[dict[str, Any]] = []
        self._commits: list[datetime] = []
        self._not_before = 0.0

    def recover(self, horizon: timedelta) -> None:
        """Find what is flagged and not on the topic, among what was scored in the last `horizon`.

        Raises `kafka.errors.KafkaError` when the topic cannot be read.
        """
        newest = self._sinks.ask(
            "SELECT MAX(scored_at) AS at FROM scored_transactions", "scored_transactions"
        )["at"][0].as_py()
        if newest is None:
            return
        published = published_hashes(self._servers)
        rows = self._flagged(f"scored_at >= {sql_time(newest - horizon)}")
        self._waiting = [row for row in rows if row["hash"] not in published]

    def notice(self, taken: Taken) -> None:
        """A micro-batch may have flagged some."""
        if taken.scored and taken.flagged:
            self.committed(taken.scored_at)

    def committed(self, scored_at: datetime) -> None:
        """A commit may have flagged some."""
        self._commits.append(scored_at)

    def due(self) -> bool:
        """Whether some wait and the broker did not fail a moment ago."""
        return bool(self._commits or self._waiting) and self._clock() >= self._not_before

    def run(self) -> None:
        """Publish all that wait; when the broker fails they go on waiting."""
        while self._commits:
            self._waiting += self._flagged(f"scored_at = {sql_time(self._commits[0])}")
            self._commits.pop(0)
        try:
            while self._waiting:
                self._publish(self._waiting[:_AT_ONCE])
        except KafkaError as error:
            log.warning("anomalies wait count=%d reason=%s", len(self._waiting), error)
            self._not_before = self._clock() + _RETRY_SECONDS

    def _publish(self, rows: list[dict[str, Any]]) -> None:
        """Send rows together; each leaves the queue, and is told on, when the broker has it."""
        if self._producer is None:
            self._producer = KafkaProducer(bootstrap_servers=self._servers, max_block_ms=5_000)
        told = [announcement(row) for row in rows]
        sent = [
            self._producer.send(ANOMALIES, _encoded(one), key=one["hash"].encode()) for one in told
        ]
        for one, future in zip(told, sent, strict=True):
            future.get(timeout=10)
            self._waiting.pop(0)
            self._metrics.announced.inc()
            for listener in self._listeners:
                listener.tell(one)

    def _flagged(self, where: str) -> list[dict[str, Any]]:
        sql = f"SELECT * FROM scored_transactions WHERE is_anomaly AND {where} ORDER BY scored_at"
        rows: list[dict[str, Any]] = self._sinks.ask(sql, "scored_transactions").to_pylist()
        return rows


def _encoded(told: dict[str, Any]) -> bytes:
    return json.dumps(told, allow_nan=False).encode()


def published_hashes(bootstrap_servers: str) -> set[str]:
    """The hashes on `bitcoin-anomalies` now."""
    (topic,) = described(bootstrap_servers, [ANOMALIES])
    partitions = [TopicPartition(ANOMALIES, number) for number in partitions_of(topic)]
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers)
    try:
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(partitions)
        found: set[str] = set()
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=1_000).values():
                found |= {record.key.decode() for record in records if record.key}
        return found
    finally:
        consumer.close()
