"""The work of every second: cancel overdue requests, sample gauges, log a change of the model."""

import asyncio
import logging
from datetime import datetime

from api.middleware import RequestsInFlight
from api.scoring import Follower
from core.background import BackgroundLoop
from core.detector.champion import Champion
from core.settings import ApiSettings
from monitoring.api_metrics import ApiMetrics
from monitoring.exposition import exposition

INTERVAL_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Heartbeat:
    """Beats once a second while the service runs, and before each scrape of the metrics."""

    def __init__(
        self,
        in_flight: RequestsInFlight,
        follower: Follower,
        metrics: ApiMetrics,
        settings: ApiSettings,
    ) -> None:
        self.in_flight, self.follower, self.metrics = in_flight, follower, metrics
        self.max_seconds = settings.api_request_seconds
        self.loop = BackgroundLoop("heartbeat", self.beat, INTERVAL_SECONDS)
        for loop in (self.loop, follower.loop):
            loop.on_turn = metrics.turn_recorder(loop.name)
        self._champion: Champion | None = None
        self._unavailable = False

    async def run(self) -> None:
        """Beat until cancelled, whatever a beat raises."""
        while True:
            self.loop.turn()
            await asyncio.sleep(self.loop.pause_seconds)

    def beat(self) -> None:
        """Cancel overdue requests, and record what has changed since the last beat."""
        self.in_flight.cancel_overdue(self.max_seconds)
        self.metrics.in_flight.set(len(self.in_flight.arrivals))
        champion = self.follower.current
        if champion is None:
            self._log_unavailable()
        elif champion is not self._champion:
            self._record_champion(champion)

    def scrape(self) -> bytes:
        """Beat, and write every metric in the format that Prometheus reads."""
        self.loop.turn()
        return exposition(self.metrics.registry)

    @property
    def lateness(self) -> str | None:
        """A sentence when a loop of this service no longer turns, else None."""
        return self.follower.loop.lateness or self.loop.lateness

    def _log_unavailable(self) -> None:
        if not self._unavailable:
            _log.warning("event=rules_alone reason=%s", self.follower.problem)
        self._unavailable = True

    def _record_champion(self, champion: Champion) -> None:
        if self._unavailable:
            _log.info("event=champion_in_service model_version=%s", champion.version)
        self._champion, self._unavailable = champion, False
        self.metrics.model_loads.inc()
        self.metrics.model_ready.set(1)
        self.metrics.model_version.set(int(champion.version))
        self.metrics.model_trained.set(trained_timestamp(champion))
        self.metrics.model_threshold.set(champion.threshold)


def trained_timestamp(champion: Champion) -> float:
    """When a champion was trained, in Unix seconds."""
    return datetime.fromisoformat(champion.calibration.trained_at).timestamp()
