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


class NoMetrics(ApiMetrics):
    """Metrics that count nothing."""

    def record_request(self, route: str, status: int, seconds: float) -> None:
        """Do nothing."""

    def record_prediction(self, flagged_by: str | None) -> None:
        """Do nothing."""


def added_seconds(champion: Champion, bodies: Sequence[bytes]) -> float:
    """By how much the metrics lengthen one `/predict`, in seconds of the processor."""
    apps = [
        application(FixedFollower(champion), metrics=metrics(new_registry("api")))
        for metrics in (NoMetrics, ApiMetrics)
    ]
    return asyncio.run(_added(apps, [Call(body=[body]) for body in bodies]))


async def _added(apps: Sequence[FastAPI], calls: Sequence[Call]) -> float:
    remaining, added = cycle(calls), []
    for i in range(PAIRS):
        seconds = {}
        for counting in (i % 2, 1 - i % 2):
            started = process_time()
            for _ in range(REQUESTS):
                answer = await send_call(apps[counting], next(remaining))
                assert answer.status == 200, answer
            seconds[counting] = (process_time() - started) / REQUESTS
        added.append(seconds[1] - seconds[0])
    return statistics.median(added)
