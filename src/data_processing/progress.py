"""Tells Prometheus what Spark says of its own query."""

import json
import logging
import time
from typing import Any

from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from monitoring.stream_metrics import StreamMetrics

log = logging.getLogger(__name__)


class ProgressListener(StreamingQueryListener):
    """Moves the metrics with each event of the query."""

    def __init__(self, metrics: StreamMetrics) -> None:
        self._metrics = metrics

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802, D102
        log.info("query started id=%s", event.id)

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802, D102
        self.observe(event.progress)

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: ARG002, N802, D102
        self._metrics.behind(0, time.time())

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802, D102
        if event.exception:
            self._metrics.failures.inc()

    def observe(self, progress: Any) -> None:
        """Take a `StreamingQueryProgress`."""
        self._metrics.behind(sum(_behind(source) for source in progress.sources), time.time())
        if progress.numInputRows:
            self._metrics.records.inc(progress.numInputRows)
            self._metrics.batch_seconds.observe(progress.batchDuration / 1_000)


def _behind(source: Any) -> int:
    """Records that the source has and the query has not read yet, over all partitions."""
    latest, read = _offsets(source.latestOffset), _offsets(source.endOffset)
    return sum(
        end - read.get(topic, {}).get(partition, 0)
        for topic, partitions in latest.items()
        for partition, end in partitions.items()
    )


def _offsets(text: str | None) -> dict[str, dict[str, int]]:
    """Offsets by topic and partition; pyspark turns a null of Java's into the word None."""
    found: dict[str, dict[str, int]] = json.loads(text) if text and text != "None" else {}
    return found
