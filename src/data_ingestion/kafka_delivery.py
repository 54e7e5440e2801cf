"""The delivery to Kafka: a record is acknowledged by every replica, or it is sent again.

Records are sent one batch at a time, and the acknowledgements are awaited. A slow or dead broker
therefore stops the polling and bounds the memory. kafka-python retries passing errors without
repeating a record (idempotence). What it gives up after its own time limit is sent once more by a
new producer. Its `close` would lose pending records silently, so the future of every record is
checked. Where the package crc32c is installed, kafka-python uses it and sends twice as much.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from core.topics import MAX_MESSAGE_BYTES, ensure_topics
from data_ingestion.clock import Clock, StoppedError
from data_ingestion.journal import Record
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
    """Sends records to the broker.

    `grace` is how long, in seconds, it still waits for the broker when the process has to stop.
    """

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
        """Wait for a broker and create the topics that are missing; raises `StoppedError`."""
        while self._producer is None:
            try:
                ensure_topics(self._servers, self._partitions)
                self._producer = self._new_producer()
            except (KafkaError, OSError) as error:
                reason = type(error).__name__
                self._warn("event=waiting_for_broker servers=%s reason=%s", self._servers, reason)
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

        Raises `StoppedError` when the process has to stop and the broker takes longer than the
        grace.
        """
        pending = list(records)
        while pending:
            self._metrics.unacknowledged.set(len(pending))
            self.connect()
            failed = self._attempt(pending)
            if failed:
                self._metrics.delivery_failures.inc(len(failed))
                self._warn("event=delivery_failed records=%d reason=sending again", len(failed))
                self.close()
                self._clock.wait(_RETRY_SECONDS)
            pending = failed
        self._metrics.unacknowledged.set(0)
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
                self._warn("event=send_failed reason=%s", type(error).__name__)
                break
        self._wait()
        sent = [future.is_done and not future.failed() for future in futures]
        failed = [record for record, done in zip(records, sent, strict=False) if not done]
        return failed + records[len(sent) :]

    def _wait(self) -> None:
        """Wait until the broker has answered for every record, or kafka-python has given up."""
        assert self._producer is not None
        stopping_since: float | None = None
        while True:
            try:
                self._producer.flush(timeout=_FLUSH_SECONDS)
            except KafkaError:
                self._warn("event=waiting_for_acknowledgements servers=%s", self._servers)
            else:
                return
            if self._clock.stopping:
                stopping_since = stopping_since or self._clock.monotonic()
                if self._clock.monotonic() - stopping_since > self._grace:
                    raise StoppedError

    def _warn(self, message: str, *values: object) -> None:
        """Log at most one warning a minute: a missing broker causes several a second."""
        if self._clock.monotonic() - self._last_log >= _LOG_SECONDS:
            self._last_log = self._clock.monotonic()
            log.warning(message, *values)

    def close(self) -> None:
        """Close the connection; the journal still holds what is not acknowledged."""
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
