"""The Structured Streaming query: its micro-batches and, between them, the chores.

A lock keeps micro-batches and chores apart, so that this process never makes two commits at a time.
"""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from core.kafka_access import spark_options
from core.settings import StreamSettings
from data_processing.chores import Chore
from data_processing.lake_claim import LakeClaim
from data_processing.micro_batch import MicroBatchWriter
from data_processing.parsed_records import FEW_RECORDS
from data_processing.start_offsets import TOPICS, SourceSettings
from data_processing.stream_checkpoint import planned_records
from data_processing.telemetry import QueryProgress, record_micro_batch
from data_processing.topic_checks import TopicGuard
from monitoring.stream_metrics import StreamMetrics

log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.2


class StopRequestedError(RuntimeError):
    """The stream is stopping: no new micro-batch begins, its records are read again later."""


class StreamQuery:
    """Runs the query until `stop` is set or it fails."""

    def __init__(
        self,
        spark: SparkSession,
        writer: MicroBatchWriter,
        announcements: Chore,
        chores: Sequence[Chore],
        metrics: StreamMetrics,
        stop: threading.Event,
        guard: TopicGuard,
        claim: LakeClaim,
    ) -> None:
        self._guard, self._claim = guard, claim
        self._spark, self._writer = spark, writer
        self._announcements, self._chores = announcements, chores
        self._metrics, self._stop = metrics, stop
        self._progress = QueryProgress(metrics)
        self._commit_lock = threading.Lock()

    def run(self, source: SourceSettings, settings: StreamSettings) -> None:
        """Start the query and do the chores while it runs; return when stopped on request.

        Raises what stopped the query, the first error of a chore, or what Spark raises when the
        source cannot be opened.
        """
        query = self._start(source, settings)
        with closing(self._guard):
            while not self._stop.is_set():
                self._wait(query)
                self._progress.look(query)
                self._do_chores()
            self._end(query)

    def _start(self, source: SourceSettings, settings: StreamSettings) -> StreamingQuery:
        reader = self._spark.readStream.format("kafka")
        for option, value in _kafka_options(source, settings).items():
            reader = reader.option(option, value)
        write = partial(self._write_batch, Path(source.checkpoint))
        writer = reader.load().writeStream.foreachBatch(write).queryName("intake")
        writer = writer.option("checkpointLocation", source.checkpoint)
        query = writer.trigger(processingTime=f"{settings.trigger_seconds} seconds").start()
        log.info("event=query_started id=%s", query.id)
        return query

    def _wait(self, query: StreamingQuery) -> None:
        """Wait a little; raise what stopped the query."""
        try:
            ended = query.awaitTermination(_IDLE_SECONDS)  # type: ignore[arg-type]
        except StreamingQueryException:
            self._metrics.failures.inc()
            raise
        if ended:
            raise RuntimeError("the query ended by itself")

    def _write_batch(self, checkpoint: Path, frame: DataFrame, number: int) -> None:
        with self._commit_lock:
            if self._stop.is_set():
                raise StopRequestedError
            self._guard.check()
            self._claim.check()
            records = planned_records(checkpoint, number)
            few = records is not None and records <= FEW_RECORDS
            if (batch := self._writer.write(frame, few)) is None:
                return
            for chore in (self._announcements, *self._chores):
                chore.on_batch(batch)
            record_micro_batch(self._metrics, batch)
            self._do(self._announcements)  # what is flagged does not wait for a turn

    def _do_chores(self) -> None:
        for chore in (self._announcements, *self._chores):
            if self._is_due(chore):
                with self._commit_lock:
                    self._claim.check()
                    self._do(chore)

    def _is_due(self, chore: Chore) -> bool:
        return chore.due() and not self._stop.is_set()

    def _do(self, chore: Chore) -> None:
        """Do a chore unless a micro-batch has done it meanwhile; the lock must be held."""
        if self._is_due(chore):
            with self._metrics.chore_seconds.labels(chore.name).time():
                chore.run()

    def _end(self, query: StreamingQuery) -> None:
        """Let the running micro-batch end before stopping; the next one refuses to begin.

        Spark logs long traces for a micro-batch that is interrupted and for one that refuses, so
        its log is switched off first.
        """
        self._spark.sparkContext.setLogLevel("OFF")
        logging.getLogger("py4j").setLevel(logging.CRITICAL)
        while query.isActive and query.status["isTriggerActive"]:
            time.sleep(_IDLE_SECONDS / 4)
        query.stop()


def _kafka_options(source: SourceSettings, settings: StreamSettings) -> dict[str, str]:
    return {
        **spark_options(source.bootstrap_servers),
        "subscribe": ",".join(TOPICS),
        "startingOffsets": source.starting_offsets,
        "maxOffsetsPerTrigger": str(settings.max_batch_records),
        # After each answer Kafka's client asks for more. The broker answers that when there is more
        # or this time is over, and only then anything else that is asked on the connection.
        "kafka.fetch.max.wait.ms": "10",
        # Records that expired before they were read are lost: the query fails and says so.
        "failOnDataLoss": "true",
    }
