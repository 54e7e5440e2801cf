"""Publishes flagged transactions to `bitcoin-anomalies`, from where the webhook takes them.

Only committed rows of `scored_transactions` are published, as read from the table. What a crash
left unpublished is found at the next start by comparing the table with the topic.
"""

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from core.detector import explanation
from core.detector.rules import rules_of_row
from core.detector.verdict import Verdict
from core.lake import sql_list, sql_time
from core.tables import VERDICT
from core.topics import ANOMALIES
from core.transaction import NUMERIC_FIELDS
from data_processing.lake_tables import LakeTables
from data_processing.micro_batch import MicroBatch
from data_processing.start_offsets import describe_topics, partition_numbers
from monitoring.stream_metrics import StreamMetrics

log = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_ROWS_AT_ONCE = 500
_BLOCK_MS, _DELIVERY_MS = 5_000, 10_000
"""Longest wait for the broker's metadata, and for the answer to a record."""

_COPIED = (
    *("hash", *NUMERIC_FIELDS, "fee_rate", *VERDICT.names),
    *("source", "block_height"),
)
_TIMES = ("event_time", "append_time", "scored_at")

INPUTS = ("spent_outpoints", "input_addresses", "input_values")
OUTPUTS = ("output_addresses", "output_values")
"""What a message says of each input and output: who is linked to whom."""

CUTS = {"outpoints_cut": INPUTS, "outputs_cut": OUTPUTS}
"""Whether there are more than a message has, and the lists that this is said of."""

MOST_LISTED = 200
"""Inputs, and outputs, of one message: it stays below 128 KiB with the longest scripts."""


def anomaly_message(row: dict[str, Any]) -> dict[str, Any]:
    """The message for a flagged row of `scored_transactions`: the row and its explanation.

    A row that also has the inputs and outputs of `raw_transactions` gives them to its message,
    `MOST_LISTED` of each side; null stands for what is not known.
    """
    verdict = Verdict.from_row(row)
    return (
        {name: row[name] for name in _COPIED}
        | {name: row[name].isoformat() for name in _TIMES}
        | {
            "patterns": list(verdict.patterns),
            "explanation": explanation.explanation(verdict, rules_of_row(row)),
        }
        | _sides(row)
    )


def _sides(row: dict[str, Any]) -> dict[str, Any]:
    sides: dict[str, Any] = {"equal_outputs": row.get("equal_outputs")}
    for cut, names in CUTS.items():
        lists = {name: row.get(name) for name in names}
        longer = any(len(values or ()) > MOST_LISTED for values in lists.values())
        sides[cut] = True if longer else row.get(cut)
        sides |= {n: values and values[:MOST_LISTED] for n, values in lists.items()}
    return sides


class Announcements:
    """A chore: publishes each flagged transaction once it is committed."""

    name = "announcements"

    def __init__(
        self,
        tables: LakeTables,
        bootstrap_servers: str,
        metrics: StreamMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tables, self._servers, self._metrics = tables, bootstrap_servers, metrics
        self._clock = clock
        self._producer: KafkaProducer | None = None
        self._unpublished: list[dict[str, Any]] = []
        self._commits: list[datetime] = []
        self._not_before = 0.0

    def recover(self, horizon: timedelta) -> None:
        """Find the flagged rows that are not on the topic, among those of the last `horizon`.

        Raises `kafka.errors.KafkaError` when the topic cannot be read.
        """
        newest = self._tables.query(
            "SELECT MAX(scored_at) AS at FROM scored_transactions", "scored_transactions"
        )["at"][0].as_py()
        if newest is None:
            return
        published = published_hashes(self._servers)
        last = min(newest, datetime.now(UTC))  # a clock that was ahead for once hides no row
        rows = self._flagged(f"scored_at >= {sql_time(last - horizon)}")
        self._unpublished = [row for row in rows if row["hash"] not in published]

    def on_batch(self, batch: MicroBatch) -> None:
        """Note a micro-batch that has flagged transactions."""
        if batch.flagged:
            self.on_scored(batch.scored_at)

    def on_scored(self, scored_at: datetime) -> None:
        """Note a commit of `scored_transactions` that may have flagged transactions."""
        self._commits.append(scored_at)

    def due(self) -> bool:
        """Whether rows are unpublished and the broker has not failed in the last 5 seconds."""
        return bool(self._commits or self._unpublished) and self._clock() >= self._not_before

    def run(self) -> None:
        """Publish all unpublished rows; when the broker fails, keep them for the next run."""
        while self._commits:
            self._unpublished += self._flagged(f"scored_at = {sql_time(self._commits[0])}")
            self._commits.pop(0)
        try:
            while self._unpublished:
                self._publish(self._unpublished[:_ROWS_AT_ONCE])
        except KafkaError as error:
            log.warning(
                "event=publishing_failed unpublished=%d reason=%s", len(self._unpublished), error
            )
            self._not_before = self._clock() + _RETRY_SECONDS

    def _publish(self, rows: list[dict[str, Any]]) -> None:
        """Send rows together; each leaves the list when the broker has acknowledged it.

        Raises the first `KafkaError` after every row has its answer: none that the broker has
        acknowledged is sent again.
        """
        if self._producer is None:
            self._producer = KafkaProducer(
                bootstrap_servers=self._servers,
                max_block_ms=_BLOCK_MS,
                request_timeout_ms=_DELIVERY_MS // 2,
                delivery_timeout_ms=_DELIVERY_MS,
            )
        answers, first_error = [], None
        for row in rows:
            try:
                answers.append((row, self._send(self._producer, row)))
            except KafkaError as error:
                first_error = error
                break
        for row, answer in answers:
            try:
                answer.get(timeout=2 * _DELIVERY_MS / 1_000)
            except KafkaError as error:
                first_error = first_error or error
            else:
                self._unpublished.remove(row)
                self._metrics.announced.inc()
        if first_error is not None:
            raise first_error

    def _send(self, producer: KafkaProducer, row: dict[str, Any]) -> Any:
        message = anomaly_message(row)
        value = json.dumps(message, allow_nan=False).encode()
        return producer.send(ANOMALIES, value, key=message["hash"].encode())

    def _flagged(self, where: str) -> list[dict[str, Any]]:
        sql = f"SELECT * FROM scored_transactions WHERE is_anomaly AND {where} ORDER BY scored_at"
        rows: list[dict[str, Any]] = self._tables.query(sql, "scored_transactions").to_pylist()
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            self._add_sides(rows[start : start + _ROWS_AT_ONCE])
        return rows

    def _add_sides(self, rows: list[dict[str, Any]]) -> None:
        """Add to each row the inputs and outputs that `raw_transactions` has of it.

        The time of appending is the same in both tables, and files without it are not opened.
        """
        times = [row["append_time"] for row in rows]
        days = sql_list({str(row["date"]) for row in rows})
        names = ", ".join(("hash", "equal_outputs", *INPUTS, *OUTPUTS, *CUTS))
        found = self._tables.query(
            f"SELECT {names} FROM raw_transactions WHERE date IN {days}"
            f" AND append_time BETWEEN {sql_time(min(times))} AND {sql_time(max(times))}"
            f" AND hash IN {sql_list({row['hash'] for row in rows})}",
            "raw_transactions",
        )
        sides = {row["hash"]: row for row in found.to_pylist()}
        for row in rows:
            row |= sides.get(row["hash"], {})


def published_hashes(bootstrap_servers: str) -> set[str]:
    """The hashes that are on `bitcoin-anomalies` now."""
    (topic,) = describe_topics(bootstrap_servers, [ANOMALIES])
    partitions = [TopicPartition(ANOMALIES, number) for number in partition_numbers(topic)]
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers)
    try:
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(partitions)
        hashes: set[str] = set()
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=1_000).values():
                hashes |= {record.key.decode() for record in records if record.key}
        return hashes
    finally:
        consumer.close()
