"""What the tables themselves know at the start: where to read on, and what was seen already.

Kafka is asked by time, not by offset: the first record that is no older than the newest row of its
partition. That is right after a lost checkpoint and for a topic that was made anew alike; what is
read twice is recognised by its key.
"""

import json
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaTimeoutError
from numpy.typing import NDArray

from core.lake import sql_time
from core.topics import BLOCKS, TRANSACTIONS
from data_processing.known import Keys, KnownKeys, hours, keys_of_hashes, receipt_keys
from data_processing.sinks import Sinks

log = logging.getLogger(__name__)

TOPICS = (TRANSACTIONS, BLOCKS)
_START = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_PATIENCE_SECONDS, _RETRY_SECONDS = 30.0, 0.2


class Memory:
    """What is in the tables already: hashes within the horizon, and rejects that may come again.

    Read at the first micro-batch, whose oldest record says how far back: it may be one that was
    written before a crash, and may reach over days.
    """

    def __init__(self, sinks: Sinks, horizon_hours: int) -> None:
        self.known = KnownKeys()
        self._sinks, self._horizon = sinks, timedelta(hours=horizon_hours)
        self._rejects: Keys | None = None

    def reach(self, oldest: datetime) -> None:
        """Remember what a micro-batch needs whose oldest record is from then; forget the rest."""
        since = oldest - self._horizon
        if self._rejects is None:
            self._rejects = self._rejects_since(oldest)
            self._remember(since)
            log.info("recognising repeats known_hashes=%d", len(self.known))
        self.known.forget_before(since)

    def is_written(self, rejects: pa.Table) -> NDArray[np.bool_]:
        """Whether each reject, by its receipt, was in the table at the start; shape (n,)."""
        assert self._rejects is not None, "reached before"
        return np.isin(receipt_keys(rejects), self._rejects)

    def _remember(self, since: datetime) -> None:
        rows = self._sinks.each(
            f"SELECT hash, append_time FROM raw_transactions WHERE date >= '{since.date()}' "
            f"AND append_time >= {sql_time(since)}",
            "raw_transactions",
        )
        found = [(keys_of_hashes(some["hash"]), hours(some["append_time"])) for some in rows]
        if found:
            keys, at = zip(*found, strict=True)
            self.known.add(np.concatenate(keys), np.concatenate(at))

    def _rejects_since(self, since: datetime) -> Keys:
        rows = self._sinks.ask(
            'SELECT topic, "partition", "offset", append_time FROM quarantine WHERE '
            f"date >= '{since.date()}' AND append_time >= {sql_time(since)}",
            "quarantine",
        )
        return receipt_keys(rows)


def newest(sinks: Sinks) -> dict[tuple[str, int], datetime]:
    """The append time of the newest row of each Kafka partition, by topic and partition."""
    raw = sinks.ask(
        'SELECT "partition", MAX(append_time) AS at FROM raw_transactions GROUP BY 1',
        "raw_transactions",
    )
    found = {(TRANSACTIONS, row["partition"]): row["at"] for row in raw.to_pylist()}
    blocks = sinks.ask("SELECT MAX(append_time) AS at FROM confirmations", "confirmations")
    if (at := blocks["at"][0].as_py()) is not None:
        found[(BLOCKS, 0)] = at
    return found


def starting_offsets(bootstrap_servers: str, times: dict[tuple[str, int], datetime]) -> str:
    """Where a query without a checkpoint begins, as Spark's `startingOffsets`.

    Raises `kafka.errors.KafkaError` while no broker answers.
    """
    partitions = {t["name"]: partitions_of(t) for t in described(bootstrap_servers, TOPICS)}
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers)
    try:
        offsets = {
            topic: {str(p): _offset(consumer, topic, p, times.get((topic, p))) for p in numbers}
            for topic, numbers in partitions.items()
        }
    finally:
        consumer.close()
    log.info("starting without a checkpoint offsets=%s", json.dumps(offsets))
    return json.dumps(offsets)


def _offset(consumer: KafkaConsumer, topic: str, partition: int, at: datetime | None) -> int:
    where = TopicPartition(topic, partition)
    if at is None:
        return int(consumer.beginning_offsets([where])[where])
    found = consumer.offsets_for_times({where: (at - _START) // _MILLISECOND})[where]
    return int(found.offset if found else consumer.end_offsets([where])[where])


def checkpoint_name(table_id: str, bootstrap_servers: str) -> str:
    """The checkpoint's folder: another lake or a topic made anew has one of its own."""
    ids = sorted(
        str(topic["topic_id"]).split("-")[0] for topic in described(bootstrap_servers, TOPICS)
    )
    return "-".join([table_id.split("-")[0], *ids])


def described(bootstrap_servers: str, topics: Sequence[str]) -> list[dict[str, Any]]:
    """What the broker says of topics that exist; one made a moment ago has no partitions yet.

    Raises `kafka.errors.KafkaTimeoutError` when it has none after 30 s.
    """
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    try:
        while time.monotonic() < deadline:
            found: list[dict[str, Any]] = admin.describe_topics(list(topics))
            if all(topic["partitions"] for topic in found):
                return found
            time.sleep(_RETRY_SECONDS)
        raise KafkaTimeoutError(f"no partitions of {', '.join(topics)}")
    finally:
        admin.close()


def partitions_of(topic: dict[str, Any]) -> list[int]:
    """The numbers of a described topic's partitions."""
    return sorted(partition["partition_index"] for partition in topic["partitions"])
