"""Where the query starts to read: at its checkpoint or, without one, by what the tables hold.

Without a checkpoint Kafka is asked by time, not by offset: for the first record that is no older
than the newest row of its partition. That is right after a lost checkpoint and for a topic that was
deleted and created again. Records that are read twice are recognised by their keys.
"""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaTimeoutError

from core.topics import BLOCKS, TRANSACTIONS
from data_processing.lake_recovery import earliest_lost
from data_processing.lake_tables import LakeTables
from data_processing.stream_checkpoint import (
    checkpoints_folder,
    find_damage,
    read_position,
    set_aside,
)
from data_processing.topic_checks import find_cut

log = logging.getLogger(__name__)

TOPICS = (TRANSACTIONS, BLOCKS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TIMEOUT_SECONDS, _RETRY_SECONDS = 30.0, 0.2


@dataclass(frozen=True)
class SourceSettings:
    """What the query reads: `starting_offsets` count only while `checkpoint` has none."""

    bootstrap_servers: str
    starting_offsets: str
    checkpoint: str


def source_settings(tables: LakeTables, bootstrap_servers: str, data_dir: Path) -> SourceSettings:
    """Find the query's checkpoint folder and, where it is new, the offsets to start from.

    A checkpoint that is damaged, or that is ahead of the topics, is set aside. Raises
    `kafka.errors.KafkaError` while no broker answers.
    """
    table_id = tables.open("raw_transactions").metadata().id
    name = checkpoint_name(str(table_id), bootstrap_servers)
    checkpoint, newest = checkpoints_folder(data_dir) / name, newest_rows(tables)
    damage = find_damage(checkpoint)
    if damage or (damage := find_cut(bootstrap_servers, read_position(checkpoint), newest)):
        set_aside(checkpoint, damage)
    offsets = "earliest"  # Spark ignores it where there is a checkpoint
    if not checkpoint.exists():
        offsets = starting_offsets(bootstrap_servers, earliest_lost(tables, newest))
    return SourceSettings(bootstrap_servers, offsets, str(checkpoint))


def checkpoint_name(table_id: str, bootstrap_servers: str) -> str:
    """The name of the checkpoint folder: it changes with the table and with either topic."""
    topics = describe_topics(bootstrap_servers, TOPICS)
    ids = sorted(str(topic["topic_id"]).split("-")[0] for topic in topics)
    return "-".join([table_id.split("-")[0], *ids])


def newest_rows(tables: LakeTables) -> dict[tuple[str, int], datetime]:
    """The append time of the newest row of each Kafka partition, by topic and partition."""
    rows = tables.query(
        'SELECT "partition", MAX(append_time) AS at FROM raw_transactions GROUP BY 1',
        "raw_transactions",
    )
    times = {(TRANSACTIONS, row["partition"]): row["at"] for row in rows.to_pylist()}
    blocks = tables.query("SELECT MAX(append_time) AS at FROM confirmations", "confirmations")
    if (at := blocks["at"][0].as_py()) is not None:
        times[(BLOCKS, 0)] = at
    return times


def starting_offsets(bootstrap_servers: str, times: dict[tuple[str, int], datetime]) -> str:
    """Where a query without a checkpoint starts, as Spark's `startingOffsets`.

    `times` are those of `newest_rows`. Raises `kafka.errors.KafkaError` while no broker answers.
    """
    partitions = {
        topic["name"]: partition_numbers(topic)
        for topic in describe_topics(bootstrap_servers, TOPICS)
    }
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers)
    try:
        offsets = json.dumps(
            {
                topic: {str(p): _offset(consumer, topic, p, times.get((topic, p))) for p in numbers}
                for topic, numbers in partitions.items()
            }
        )
    finally:
        consumer.close()
    log.info("event=starting_without_checkpoint offsets=%s", offsets)
    return offsets


def _offset(consumer: KafkaConsumer, topic: str, partition: int, at: datetime | None) -> int:
    where = TopicPartition(topic, partition)
    if at is None:
        return int(consumer.beginning_offsets([where])[where])
    first = consumer.offsets_for_times({where: (at - _EPOCH) // _MILLISECOND})[where]
    return int(first.offset if first else consumer.end_offsets([where])[where])


def describe_topics(bootstrap_servers: str, topics: Sequence[str]) -> list[dict[str, Any]]:
    """The broker's description of existing topics; waits for the partitions of new ones.

    Raises `kafka.errors.KafkaTimeoutError` when a topic has no partitions after 30 s.
    """
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    try:
        while time.monotonic() < deadline:
            descriptions: list[dict[str, Any]] = admin.describe_topics(list(topics))
            if all(topic["partitions"] for topic in descriptions):
                return descriptions
            time.sleep(_RETRY_SECONDS)
        raise KafkaTimeoutError(f"no partitions of {', '.join(topics)}")
    finally:
        admin.close()


def partition_numbers(topic: dict[str, Any]) -> list[int]:
    """The partition numbers of a described topic."""
    return sorted(partition["partition_index"] for partition in topic["partitions"])
