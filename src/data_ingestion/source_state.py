"""Whether the source answers, or since when it is silent and why: for log, /ready and metric."""

import logging
from datetime import UTC, datetime

from data_ingestion.clock import Clock
from monitoring.producer_metrics import ProducerMetrics

log = logging.getLogger(__name__)

_LOG_SECONDS = 60.0


class SourceState:
    """Counts as silent after `silent_after` seconds without an answer that could be used."""

    def __init__(self, silent_after: float, clock: Clock, metrics: ProducerMetrics) -> None:
        self._silent_after = silent_after
        self._clock = clock
        self._heard = clock.time()
        self._why = "it was not asked yet"
        self._last_log = float("-inf")
        metrics.silent_since.set_function(lambda: self.silent_since or 0)

    def answered(self) -> None:
        """The source gave what was asked."""
        if self.silent_since is not None:
            log.info("source answers again after=%.0fs", self._clock.time() - self._heard)
        self._heard = self._clock.time()
        self._last_log = float("-inf")

    def failed(self, why: str) -> None:
        """The source did not, and why."""
        self._why = why

    def tell(self) -> None:
        """Say in the log that the source is silent, once a minute; to be called often."""
        if self.silent_since is None:
            return
        if self._clock.monotonic() - self._last_log >= _LOG_SECONDS:
            self._last_log = self._clock.monotonic()
            log.warning("source %s", self.sentence)

    @property
    def silent_since(self) -> float | None:
        """Unix time of the last answer where it is too long ago, else None."""
        if self._clock.time() - self._heard < self._silent_after:
            return None
        return self._heard

    @property
    def sentence(self) -> str:
        """The state for a person."""
        since = self.silent_since
        if since is None:
            return "answers"
        moment = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"silent since {moment}: {self._why}"
