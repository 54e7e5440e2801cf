"""Once a second: end what is overdue, and write down what the metrics sample."""

import asyncio
import logging

from api.in_service import Follower
from api.limits import UnderWay
from api.service_routes import trained
from core.detector.champion import Champion
from core.settings import ApiSettings
from monitoring.api_metrics import ApiMetrics
from monitoring.exposition import exposition

SECONDS = 1.0
_log = logging.getLogger(__name__)


class Pulse:
    """The service's own rhythm; a scrape beats too, so that it shows the moment."""

    def __init__(
        self, under_way: UnderWay, follower: Follower, metrics: ApiMetrics, settings: ApiSettings
    ) -> None:
        self.under_way, self.follower, self.metrics = under_way, follower, metrics
        self.limit = settings.api_request_seconds
        self._seen: Champion | None = None
        self._waiting = False

    async def beat_on(self) -> None:
        """Beat until cancelled."""
        while True:
            self.beat()
            await asyncio.sleep(SECONDS)

    def beat(self) -> None:
        """Sweep and sample once."""
        self.under_way.end_overdue(self.limit)
        self.metrics.settle()
        self.metrics.in_flight.set(len(self.under_way.arrivals))
        champion = self.follower.current
        if champion is None:
            self._wait()
        elif champion is not self._seen:
            self._seen = champion
            self._show(champion)

    def _wait(self) -> None:
        if not self._waiting:
            _log.warning("no model yet, predictions get 503 reason=%s", self.follower.problem)
        self._waiting = True

    def _show(self, champion: Champion) -> None:
        if self._waiting:
            _log.info("predictions are answered model_version=%s", champion.version)
        self._waiting = False
        self.metrics.model_loads.inc()
        self.metrics.model_ready.set(1)
        self.metrics.model_version.set(int(champion.version))
        self.metrics.model_trained.set(trained(champion))
        self.metrics.model_threshold.set(champion.threshold)

    def scrape(self) -> bytes:
        """Beat, and write every metric as Prometheus reads it."""
        self.beat()
        return exposition(self.metrics.registry)
