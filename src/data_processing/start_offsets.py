"""Where the query starts to read: at its checkpoint or, without one, by what the tables hold.

Without a checkpoint it starts at a record that is known to be written. The broker is asked for the
record of a partition's newest row, and it must be the same: the same transaction or block with the
same time. All records before it were written before it. No time alone decides: after a topic was
created again, or with rows that are stamped ahead, no record is the same, and everything is read.
Records that are read twice are recognised by their keys.
"""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaTimeoutError

from core.delta_log import has_lost_commits
from core.kafka_access import client_options
from core.lake import sql_time, table_uri
from core.topics import BLOCKS, TRANSACTIONS
from data_processing.lake_tables import LakeTables
from data_processing.record_parsing import Reject, parse
from data_processing.stream_checkpoint import (
    checkpoints_folder,
    find_damage,
    read_position,
    set_aside,
)
from data_processing.topic_checks import find_cut, kafka_timestamp

log = logging.getLogger(__name__)

TOPICS = (TRANSACTIONS, BLOCKS)
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
    checkpoint, written = checkpoints_folder(data_dir) / name, written_records(tables)
    newest = {(record.topic, record.partition): record.append_time for record in reversed(written)}
    damage = find_damage(checkpoint)
    if damage or (damage := find_cut(bootstrap_servers, read_position(checkpoint), newest)):
        set_aside(checkpoint, damage)
    offsets = "earliest"  # Spark ignores it where there is a checkpoint
    if not checkpoint.exists():
        offsets = starting_offsets(bootstrap_servers, written)
    return SourceSettings(bootstrap_servers, offsets, str(checkpoint))


def checkpoint_name(table_id: str, bootstrap_servers: str) -> str:
    """The name of the checkpoint folder: it changes with the table and with either topic."""
    topics = describe_topics(bootstrap_servers, TOPICS)
    ids = sorted(str(topic["topic_id"]).split("-")[0] for topic in topics)
    return "-".join([table_id.split("-")[0], *ids])


@dataclass(frozen=True)
class WrittenRecord:
    """A record whose row is in a table; `confirmations` has no `offset`."""

    topic: str
    partition: int
    offset: int | None
    hash: str
    append_time: datetime

    @property
    def milliseconds(self) -> int:
        """Kafka's timestamp of the record, a Unix time in milliseconds."""
        return kafka_timestamp(self.append_time)


def written_records(tables: LakeTables) -> list[WrittenRecord]:
    """Of each Kafka partition the record with the newest row, and the one with the largest offset.

    They differ when a broker's clock was wrong, or when the topic was created again. There are none
    where `quarantine` has lost a commit: its rejects can be anywhere, so everything is read again.
    """
    if has_lost_commits(table_uri(tables.lake, "quarantine")):
        return []
    last = tables.query(
        'SELECT "partition" AS p, MAX(append_time) AS at, MAX("offset") AS o '
        "FROM raw_transactions GROUP BY 1",
        "raw_transactions",
    ).to_pylist()
    ends = [
        end
        for row in last
        for end in (f"append_time = {sql_time(row['at'])}", f'"offset" = {row["o"]}')
        for end in [f'"partition" = {row["p"]} AND {end}']
    ]
    records = [
        WrittenRecord(TRANSACTIONS, *row.values())
        for end in ends
        for row in tables.query(
            'SELECT "partition", "offset", hash, append_time FROM raw_transactions '
            f'WHERE {end} ORDER BY append_time DESC, "offset" DESC LIMIT 1',
            "raw_transactions",
        ).to_pylist()
    ]
    block = tables.query(
        "SELECT block_hash, append_time FROM confirmations ORDER BY append_time DESC LIMIT 1",
        "confirmations",
    ).to_pylist()
    return [*records, *(WrittenRecord(BLOCKS, 0, None, *row.values()) for row in block)]


def starting_offsets(bootstrap_servers: str, written: Sequence[WrittenRecord]) -> str:
    """Where a query without a checkpoint starts, as Spark's `startingOffsets`.

    Of each partition it is the last of its `written` records that the broker has, or else the
    first record. Raises `kafka.errors.KafkaError` while no broker answers.
    """
    topics = {t["name"]: partition_numbers(t) for t in describe_topics(bootstrap_servers, TOPICS)}
    partitions = [TopicPartition(name, p) for name, numbers in topics.items() for p in numbers]
    consumer = KafkaConsumer(**client_options(bootstrap_servers))
    try:
        offsets: dict[str, dict[str, int]] = {name: {} for name in topics}
        for where, first in consumer.beginning_offsets(partitions).items():
            known = [
                _offset_of(consumer, record)
                for record in written
                if (record.topic, record.partition) == where
            ]
            offset = max([first, *(o for o in known if o is not None)])
            offsets[where.topic][str(where.partition)] = offset
    finally:
        consumer.close()
    log.info("event=starting_without_checkpoint offsets=%s", json.dumps(offsets))
    return json.dumps(offsets)


def _offset_of(consumer: KafkaConsumer, written: WrittenRecord) -> int | None:
    """The offset of a written record, or None if the broker does not have the same record."""
    where = TopicPartition(written.topic, written.partition)
    offset = written.offset
    if offset is None:
        found = consumer.offsets_for_times({where: written.milliseconds})[where]
        offset = found.offset if found else -1
    first, end = consumer.beginning_offsets([where])[where], consumer.end_offsets([where])[where]
    if not first <= offset < end:
        return None
    record = record_at(consumer, where, offset)
    if record is None or record.timestamp != written.milliseconds:
        return None
    parsed = parse(record.topic, record.value)
    return None if isinstance(parsed, Reject) or parsed.hash != written.hash else offset


def record_at(consumer: KafkaConsumer, where: TopicPartition, offset: int) -> Any:
    """The record at an offset, or None if it does not come within 30 s."""
    consumer.assign([where])
    consumer.seek(where, offset)
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        for record in consumer.poll(timeout_ms=1_000, max_records=1).get(where, []):
            return record if record.offset == offset else None
    return None


def describe_topics(bootstrap_servers: str, topics: Sequence[str]) -> list[dict[str, Any]]:
    """The broker's description of existing topics; waits for the partitions of new ones.

    Raises `kafka.errors.KafkaTimeoutError` when a topic has no partitions after 30 s.
    """
    admin = KafkaAdminClient(**client_options(bootstrap_servers))
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
