"""What the API's metrics cost one request: the application itself, with metrics and without.

The application is called in this process and without a network, since the difference is far below
the noise of a load over the network. The result is the median over many pairs of runs. The order
within a pair alternates.
"""

import asyncio
import statistics
from collections.abc import Sequence
from itertools import cycle
from time import process_time

from fastapi import FastAPI
from tests.support.api_application import FixedFollower, application
from tests.support.asgi_calls import Call, send_call

from core.detector.champion import Champion
from monitoring.api_metrics import ApiMetrics
from monitoring.prometheus_metrics import new_registry

PAIRS, REQUESTS = 100, 1_000


class SwitchedMetrics(ApiMetrics):
    """Metrics that can be switched off."""

    enabled = True

    def record_request(self, route: str, status: int, seconds: float) -> None:
        """Count only while it is switched on."""
        if self.enabled:
            super().record_request(route, status, seconds)

    def record_prediction(self, is_anomaly: bool) -> None:
        """Count only while it is switched on."""
        if self.enabled:
            super().record_prediction(is_anomaly)


def added_seconds(champion: Champion, bodies: Sequence[bytes]) -> float:
    """By how much the metrics lengthen one `/predict`, in seconds of the processor."""
    metrics = SwitchedMetrics(new_registry("api"))
    app = application(FixedFollower(champion), metrics=metrics)
    return asyncio.run(_added(app, metrics, [Call(body=[body]) for body in bodies]))


async def _added(app: FastAPI, metrics: SwitchedMetrics, calls: Sequence[Call]) -> float:
    following, added = cycle(calls), []
    for i in range(PAIRS):
        taken = {}
        for enabled in (i % 2, 1 - i % 2):
            metrics.enabled = bool(enabled)
            began = process_time()
            for _ in range(REQUESTS):
                answer = await send_call(app, next(following))
                assert answer.status == 200, answer
            taken[enabled] = (process_time() - began) / REQUESTS
        added.append(taken[1] - taken[0])
    return statistics.median(added)
