"""Delivery to Kafka: records are acknowledged by every replica, or they are still ours.

One batch is on its way at a time, and its end is waited for: a slow or dead broker so stops the
polling and bounds the memory. kafka-python sends again what fails in passing, without repeats
(idempotence); what it gives up after its own limit is sent once more by a new producer. Its
`close` would lose pending records silently, so every record's future is looked at. The package
crc32c, which it uses where it is installed, doubles what one core can send.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from core.topics import MAX_MESSAGE_BYTES, ensure_topics
from data_ingestion.clock import Clock, StoppedError
from data_ingestion.records import Record
from monitoring.producer_metrics import ProducerMetrics

log = logging.getLogger(__name__)

_BATCH_BYTES = 256 * 1024
_DELIVERY_TIMEOUT_MS = 60_000
_REQUEST_TIMEOUT_MS = 10_000
_METADATA_TIMEOUT_MS = 5_000
_FLUSH_SECONDS = 0.5
_RETRY_SECONDS = 1.0
_CLOSE_SECONDS = 2.0
_LOG_SECONDS = 60.0


class KafkaDelivery:
    """Sends records to the broker; `grace` is how long it still waits when told to stop."""

    def __init__(
        self,
        bootstrap_servers: str,
        partitions: int,
        grace: float,
        clock: Clock,
        metrics: ProducerMetrics,
    ) -> None:
        self._servers = bootstrap_servers
        self._partitions = partitions
        self._grace = grace
        self._clock = clock
        self._metrics = metrics
        self._producer: KafkaProducer | None = None
        self._last_log = float("-inf")

    def connect(self) -> None:
        """Wait for a broker and make the topics; raises `StoppedError` when told to stop."""
        while self._producer is None:
            try:
                ensure_topics(self._servers, self._partitions)
                self._producer = self._new_producer()
            except (KafkaError, OSError) as error:
                self._say("waiting for the broker at %s: %s", self._servers, type(error).__name__)
                self._clock.wait(_RETRY_SECONDS)

    def _new_producer(self) -> KafkaProducer:
        return KafkaProducer(
            bootstrap_servers=self._servers,
            acks="all",
            enable_idempotence=True,
            batch_size=_BATCH_BYTES,
            linger_ms=5,
            max_request_size=MAX_MESSAGE_BYTES,
            delivery_timeout_ms=_DELIVERY_TIMEOUT_MS,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            max_block_ms=_METADATA_TIMEOUT_MS,
            reconnect_backoff_max_ms=1_000,
            metrics_enabled=False,
        )

    def deliver(self, records: Sequence[Record]) -> None:
        """Return when the broker has acknowledged every record.

        Raises `StoppedError` when told to stop and the broker takes longer than the grace.
        """
        pending = list(records)
        while pending:
            self._metrics.unacknowledged.set(len(pending))
            self.connect()
            failed = self._attempt(pending)
            if failed:
                self._metrics.delivery_failures.inc(len(failed))
                self._say("the broker did not take %d records: sending again", len(failed))
                self.close()
                self._clock.wait(_RETRY_SECONDS)
            pending = failed
        self._metrics.unacknowledged.set(0)
        self._count(records)

    def _count(self, records: Sequence[Record]) -> None:
        for topic, count in Counter(record.topic for record in records).items():
            self._metrics.published.labels(topic).inc(count)
        if records:
            self._metrics.last_published.set(self._clock.time())

    def _attempt(self, records: list[Record]) -> list[Record]:
        """Send once; returns the records that failed, in their order."""
        assert self._producer is not None
        futures = []
        for record in records:
            try:
                futures.append(self._producer.send(record.topic, record.value, record.key.encode()))
            except KafkaError as error:
                self._say("cannot send: %s", type(error).__name__)
                break
        self._wait()
        sent = [future.is_done and not future.failed() for future in futures]
        return [r for r, done in zip(records, sent, strict=False) if not done] + records[
            len(sent) :
        ]

    def _wait(self) -> None:
        """Wait until the broker has answered for every record, or kafka-python has given up."""
        assert self._producer is not None
        stopped_at: float | None = None
        while True:
            try:
                self._producer.flush(timeout=_FLUSH_SECONDS)
            except KafkaError:
                self._say("waiting for the broker's acknowledgements")
            else:
                return
            if self._clock.stopping:
                stopped_at = stopped_at or self._clock.monotonic()
                if self._clock.monotonic() - stopped_at > self._grace:
                    raise StoppedError

    def _say(self, message: str, *facts: object) -> None:
        """Log, at most once a minute."""
        if self._clock.monotonic() - self._last_log >= _LOG_SECONDS:
            self._last_log = self._clock.monotonic()
            log.warning(message, *facts)

    def close(self) -> None:
        """Let go of the broker; what is not acknowledged is still in the journal."""
        if self._producer is None:
            return
        try:
            self._producer.close(timeout=0)
        except KafkaTimeoutError:
            # Pending records make it raise halfway: end its thread first, which fails them.
            self._producer._sender.force_close()
            self._producer._sender.join(_CLOSE_SECONDS)
            with suppress(KafkaTimeoutError):
                self._producer.close(timeout=0)
        self._producer = None
