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
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)
from kafka.producer.future import FutureRecordMetadata

from core.kafka_access import client_options
from core.topics import MAX_MESSAGE_BYTES, ensure_topics
from data_ingestion.clock import Clock, StoppedError
from data_ingestion.journal import Record
from data_ingestion.publishing import smaller_record
from monitoring.producer_metrics import TOO_LARGE, ProducerMetrics

log = logging.getLogger(__name__)

_BATCH_BYTES = 256 * 1024
_DELIVERY_TIMEOUT_MS = 60_000
_REQUEST_TIMEOUT_MS = 10_000
_METADATA_TIMEOUT_MS = 5_000
_FLUSH_SECONDS = 0.5
_RETRY_SECONDS = 1.0
_CLOSE_SECONDS = 2.0
_LOG_SECONDS = 60.0
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


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
        replication: int = 1,
    ) -> None:
        self._servers = bootstrap_servers
        self._partitions, self._replication = partitions, replication
        self._grace = grace
        self._clock = clock
        self._metrics = metrics
        self._producer: KafkaProducer | None = None
        self._last_log = float("-inf")

    def connect(self) -> None:
        """Wait for a broker and create the topics that are missing; raises `StoppedError`."""
        while self._producer is None:
            try:
                ensure_topics(self._servers, self._partitions, self._replication)
                self._producer = self._new_producer()
            except (KafkaError, OSError) as error:
                reason = type(error).__name__
                self._warn("event=waiting_for_broker servers=%s reason=%s", self._servers, reason)
                self._clock.wait(_RETRY_SECONDS)

    def _new_producer(self) -> KafkaProducer:
        return KafkaProducer(
            **client_options(self._servers),
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
        pending, alone = list(records), False
        while pending:
            self._metrics.unacknowledged.set(len(pending))
            self.connect()
            batch = pending[:1] if alone else pending
            unsent, size_refused = self._attempt(batch)
            if size_refused:
                # A refusal by the broker ends kafka-python's producer and fails innocent records
                # too: sent one by one, only the one that is too large is refused again.
                self.close()
                unsent = self._replacement(batch[0]) if alone else unsent
                alone = True
            elif unsent:
                self._metrics.delivery_failures.inc(len(unsent))
                self._warn("event=delivery_failed records=%d reason=sending again", len(unsent))
                self.close()
                self._clock.wait(_RETRY_SECONDS)
            pending = unsent + pending[len(batch) :]
        self._metrics.unacknowledged.set(0)
        for topic, count in Counter(record.topic for record in records).items():
            self._metrics.published.labels(topic).inc(count)
        if records:
            self._metrics.last_published.set(self._clock.time())

    def _attempt(self, records: list[Record]) -> tuple[list[Record], bool]:
        """Send once; returns the records that failed, and whether a size was the reason."""
        assert self._producer is not None
        futures: list[FutureRecordMetadata] = []
        size_refused = False
        for record in records:
            try:
                futures.append(self._producer.send(record.topic, record.value, record.key.encode()))
            except KafkaError as error:
                size_refused = isinstance(error, _TOO_LARGE)
                self._warn("event=send_failed reason=%s", type(error).__name__)
                break
        self._wait()
        failed = [
            record
            for record, future in zip(records, futures, strict=False)
            if not future.succeeded()
        ]
        size_refused |= any(isinstance(future.exception, _TOO_LARGE) for future in futures)
        return failed + records[len(futures) :], size_refused

    def _replacement(self, record: Record) -> list[Record]:
        """The dead letter in place of a record that is too large for its topic, if there is one."""
        self._metrics.dead_letters.labels(TOO_LARGE).inc()
        log.error(
            "event=record_too_large topic=%s key=%.64s bytes=%d reason=max.message.bytes of the "
            "topic or of the broker is less; a dead letter with its beginning takes its place",
            record.topic,
            record.key,
            len(record.key) + len(record.value),
        )
        letter = smaller_record(record, int(self._clock.time()))
        return [letter] if letter else []

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
