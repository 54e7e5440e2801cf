"""The records that Kafka has and the lake has not: what the producer counts as published already.

Without them a restore beside a new, empty Kafka would lose what was on its way at that moment. They
go into the journal of the backup as records that are still to be sent; where Kafka has them after
all, the stream recognises them by their keys.
"""

import socket
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from deltalake import DeltaTable
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaTimeoutError
from pydantic import BaseModel, ValidationError

from core.kafka_access import client_options
from core.lake import query
from core.topics import BLOCKS, TRANSACTIONS
from core.transaction import Block, ObservedTransaction

_MODELS: dict[str, type[BaseModel]] = {TRANSACTIONS: ObservedTransaction, BLOCKS: Block}

MOST_RECORDS = 50_000
"""The producer has all of them in memory at its start, a kilobyte each."""

_TIMEOUT_SECONDS = 60.0
_BOOTSTRAP_MS, _CONNECT_SECONDS = 10_000, 3.0


class Place(NamedTuple):
    """The newest row of a partition: the largest offset, -1 where none is kept, and time."""

    topic: str
    partition: int
    offset: int
    append_time: datetime


def written_places(transactions: DeltaTable | None, blocks: DeltaTable | None) -> list[Place]:
    """The newest row of each partition in `raw_transactions` and in `confirmations`."""
    places = []
    if transactions is not None:
        sql = (
            'SELECT "partition" AS p, max("offset") AS o, max(append_time) AS at FROM t GROUP BY 1'
        )
        rows = query(sql, t=transactions).to_pylist()
        places += [Place(TRANSACTIONS, row["p"], row["o"], row["at"]) for row in rows]
    if blocks is not None:
        (row,) = query("SELECT max(append_time) AS at FROM t", t=blocks).to_pylist()
        if row["at"] is not None:
            places.append(Place(BLOCKS, 0, -1, row["at"]))
    return places


def unread_records(servers: str, written: Sequence[Place]) -> list[Any] | None:
    """The records behind the newest rows; None where more than `MOST_RECORDS` are.

    Some before that may be among them. Raises `KafkaError` while no broker answers.
    """
    _connect(servers)  # kafka-python itself waits longer, and leaves sockets open
    consumer = KafkaConsumer(
        **client_options(servers), bootstrap_timeout_ms=_BOOTSTRAP_MS, enable_auto_commit=False
    )
    try:
        partitions = [
            TopicPartition(topic, number)
            for topic in (TRANSACTIONS, BLOCKS)
            for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        if not partitions:
            return []
        ends = consumer.end_offsets(partitions)
        starts = _starts(consumer, partitions, written)
        if sum(ends[each] - starts[each] for each in partitions) > MOST_RECORDS:
            return None
        return _read(consumer, starts, ends)
    finally:
        consumer.close()


def _connect(servers: str) -> None:
    """Return when a broker accepts a connection; raises `KafkaTimeoutError` when none does."""
    for server in servers.split(","):
        host, _, port = server.rpartition(":")
        with suppress(OSError), socket.create_connection((host, int(port)), _CONNECT_SECONDS):
            return
    raise KafkaTimeoutError(f"nobody answers at {servers}")


def hold(journal: Path, records: Sequence[Any]) -> None:
    """Add records to those that the producer sends at its next start.

    What the stream refuses is left out: no producer of ours has published it.
    """
    rows = [
        (r.topic, (r.key or b"").decode(errors="replace"), r.value) for r in records if _is_valid(r)
    ]
    with closing(sqlite3.connect(journal)) as database, database:
        database.executemany("insert into held (topic, key, value) values (?, ?, ?)", rows)


def _is_valid(record: Any) -> bool:
    try:
        _MODELS[record.topic].model_validate_json(record.value or b"")
    except ValidationError:
        return False
    return True


def _starts(
    consumer: KafkaConsumer, partitions: Sequence[TopicPartition], written: Sequence[Place]
) -> dict[TopicPartition, int]:
    """Where to read from: the earlier of what offset and time say, where the topic has it.

    A topic that was created again has neither, and is read from its beginning.
    """
    first, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    starts = dict(first)
    for place in written:
        where = TopicPartition(place.topic, place.partition)
        if where not in starts:
            continue
        milliseconds = int(place.append_time.timestamp() * 1_000)
        found = consumer.offsets_for_times({where: milliseconds})[where]
        known = [found.offset] if found else []
        if place.offset >= 0:
            known.append(place.offset + 1)
        known = [offset for offset in known if first[where] <= offset <= ends[where]]
        starts[where] = min(known, default=first[where])
    return starts


def _read(
    consumer: KafkaConsumer, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> list[Any]:
    open_ones = [each for each in starts if starts[each] < ends[each]]
    consumer.assign(open_ones)
    for each in open_ones:
        consumer.seek(each, starts[each])
    records: list[Any] = []
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while any(consumer.position(each) < ends[each] for each in open_ones):
        if time.monotonic() > deadline:
            raise KafkaTimeoutError("its records do not come")
        for some in consumer.poll(timeout_ms=1_000).values():
            records += some
    return records
