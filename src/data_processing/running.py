"""The stream at work: one query, its micro-batches and, between them, the chores.

One lock keeps them apart, so that no two writes of this process ever meet on a table.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from core.settings import StreamSettings
from data_processing.chores import Chore
from data_processing.intake import Intake, Taken
from data_processing.resume import TOPICS
from monitoring.stream_metrics import StreamMetrics, observe_all

log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.2


@dataclass(frozen=True)
class Source:
    """Where the query reads from: brokers, the offsets without a checkpoint, and its folder."""

    bootstrap_servers: str
    starting_offsets: str
    checkpoint: str


class StopRequestedError(RuntimeError):
    """The stream is stopping: no new micro-batch begins; its records are read again."""


class Stream:
    """Runs the query until `stop` is set or it fails."""

    def __init__(
        self,
        spark: SparkSession,
        intake: Intake,
        chores: Sequence[Chore],
        metrics: StreamMetrics,
        stop: threading.Event,
    ) -> None:
        self._spark, self._intake, self._chores = spark, intake, chores
        self._metrics, self._stop = metrics, stop
        self._turn = threading.Lock()

    def start(self, source: Source, settings: StreamSettings) -> StreamingQuery:
        """Start reading; raises what Spark raises when the source cannot be opened."""
        reader = self._spark.readStream.format("kafka")
        for option, value in _kafka_options(source, settings).items():
            reader = reader.option(option, value)
        writer = reader.load().writeStream.foreachBatch(self._batch).queryName("intake")
        writer = writer.option("checkpointLocation", source.checkpoint)
        return writer.trigger(processingTime=f"{settings.trigger_seconds} seconds").start()

    def run(self, query: StreamingQuery) -> None:
        """Do the chores while the query runs; return when it has stopped on request.

        Raises what stopped the query, or the first error of a chore.
        """
        while not self._stop.is_set():
            if query.awaitTermination(_IDLE_SECONDS):  # type: ignore[arg-type]
                raise RuntimeError("the query ended by itself")
            self._do_chores()
        self._end(query)

    def _batch(self, frame: DataFrame, _: int) -> None:
        with self._turn:
            if self._stop.is_set():
                raise StopRequestedError
            if (taken := self._intake.take(frame)) is None:
                return
            for chore in self._chores:
                chore.notice(taken)
            self._tell(taken)

    def _do_chores(self) -> None:
        for chore in self._chores:
            if chore.due() and not self._stop.is_set():
                with self._turn, self._metrics.chore_seconds.labels(chore.name).time():
                    chore.run()

    def _end(self, query: StreamingQuery) -> None:
        """Let the running micro-batch end before stopping; the next one refuses to begin.

        A micro-batch that is cut off, and one that refuses, both fill the log with traces.
        """
        self._spark.sparkContext.setLogLevel("OFF")
        logging.getLogger("py4j").setLevel(logging.CRITICAL)
        while query.isActive and query.status["isTriggerActive"]:
            time.sleep(_IDLE_SECONDS / 4)
        query.stop()

    def _tell(self, taken: Taken) -> None:
        metrics, new = self._metrics, taken.new.num_rows
        metrics.repeats.inc(taken.repeats)
        metrics.last_batch.set_to_current_time()
        for stage, seconds in taken.seconds.items():
            metrics.stage_seconds.labels(stage).inc(seconds)
        metrics.read(taken.newest.timestamp())
        metrics.rows.labels("raw_transactions").inc(new)
        metrics.rows.labels("quarantine").inc(taken.rejects.num_rows)
        metrics.rows.labels("confirmations").inc(taken.confirmed)
        for kind in taken.rejects["kind"].to_pylist():
            metrics.quarantined.labels(kind).inc()
        if taken.scored:
            metrics.rows.labels("scored_transactions").inc(new)
            metrics.anomalies.inc(taken.flagged)
            observe_all(metrics.scoring_latency, _ages(taken.new["append_time"]))
            observe_all(metrics.scores, taken.new["anomaly_score"].to_numpy())


def _ages(append_times: pa.ChunkedArray) -> NDArray[np.float64]:
    """Seconds since each instant; shape (n,)."""
    micros = np.asarray(append_times.cast(pa.int64()).to_numpy(), np.float64)
    return time.time() - micros / 1e6


def _kafka_options(source: Source, settings: StreamSettings) -> dict[str, str]:
    return {
        "kafka.bootstrap.servers": source.bootstrap_servers,
        "subscribe": ",".join(TOPICS),
        "startingOffsets": source.starting_offsets,
        "maxOffsetsPerTrigger": str(settings.max_batch_records),
        # Records that expired before they were read are a loss: stop and say so.
        "failOnDataLoss": "true",
    }
