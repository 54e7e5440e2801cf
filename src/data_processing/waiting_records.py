"""What waits in Kafka: the records that no committed micro-batch has read, and for how long.

The broker is asked beside the query, so that a micro-batch that is slow or hangs, or a stream that
has just started, is seen by a number that grows. Spark says what waited when a micro-batch began,
and only after its end.
"""

import time
from collections.abc import Callable
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from core.background import BackgroundLoop
from core.kafka_access import client_options
from data_processing.start_offsets import record_at
from data_processing.stream_checkpoint import committed_position
from monitoring.stream_metrics import StreamMetrics

PAUSE_SECONDS = 2.0

_BOOTSTRAP_MS = 5_000
"""A look waits so long for a broker; the next one tries again."""


class WaitingRecords:
    """Counts them by the ends of Kafka's partitions and the position of the query's checkpoint.

    While no broker answers, the ends are those that were seen last. `clock` gives Unix seconds.
    """

    def __init__(
        self, bootstrap_servers: str, checkpoint: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self._servers, self._checkpoint, self._clock = bootstrap_servers, checkpoint, clock
        self._consumer: KafkaConsumer | None = None
        self._ends: dict[TopicPartition, int] = {}
        self._oldest = 0.0
        self.loop = BackgroundLoop("waiting_records", self._look, PAUSE_SECONDS)

    def records(self) -> int:
        """How many wait, in all partitions; 0 before the query has a position."""
        return sum(self._waiting(self._position()).values())

    def seconds(self) -> float:
        """The age of the oldest one in the partition where most wait; 0 when none does."""
        return max(self._clock() - self._oldest, 0.0) if self.records() else 0.0

    def show(self, metrics: StreamMetrics) -> None:
        """Let the lag's gauges read their values at each scrape, and count the loop's turns."""
        metrics.lag_records.set_function(lambda: float(self.records()))
        metrics.lag_seconds.set_function(self.seconds)
        self.loop.on_turn = metrics.turn_recorder(self.loop.name)

    def close(self) -> None:
        """Leave the broker; the next look connects again."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _look(self) -> None:
        try:
            self._ask(self._position())
        except KafkaError:  # the query says it if that lasts
            self.close()

    def _ask(self, position: dict[TopicPartition, int]) -> None:
        if self._consumer is None:
            self._consumer = KafkaConsumer(
                **client_options(self._servers),
                bootstrap_timeout_ms=_BOOTSTRAP_MS,
                max_partition_fetch_bytes=1,
            )
        self._ends = self._consumer.end_offsets(list(position))
        waiting = self._waiting(position)
        if not any(waiting.values()):
            return
        most = max(waiting, key=lambda partition: waiting[partition])
        if record := record_at(self._consumer, most, position[most]):
            self._oldest = record.timestamp / 1_000

    def _waiting(self, position: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        ends = self._ends
        return {
            partition: max(ends.get(partition, offset) - offset, 0)
            for partition, offset in position.items()
        }

    def _position(self) -> dict[TopicPartition, int]:
        return {
            TopicPartition(topic, int(number)): offset
            for topic, offsets in committed_position(self._checkpoint).items()
            for number, offset in offsets.items()
        }
