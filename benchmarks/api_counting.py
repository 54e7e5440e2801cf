"""What the API's metrics cost a request: the application itself, with them and without in turns.

It is called in this process, without a network, since the difference is far below the noise of a
load over one: the median of many pairs of turns is told, whose order alternates.
"""

import asyncio
import statistics
from collections.abc import Sequence
from itertools import cycle
from time import process_time
from typing import Any

from fastapi import FastAPI
from tests.api.conftest import Following

from api.anomalies import Scored
from api.application import create_app
from core.detector.champion import Champion
from core.settings import ApiSettings
from monitoring.api_metrics import ApiMetrics
from monitoring.prometheus_metrics import new_registry

PAIRS, REQUESTS = 100, 1_000


class Switched(ApiMetrics):
    """Metrics that can be switched off."""

    counting = True

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count only while it is switched on."""
        if self.counting:
            super().answered(route, status, seconds)

    def scored(self, transactions: int, flagged: int) -> None:
        """Count only while it is switched on."""
        if self.counting:
            super().scored(transactions, flagged)


def added_seconds(champion: Champion, bodies: Sequence[bytes]) -> float:
    """By how much the metrics lengthen one `/predict`, in seconds of the processor."""
    metrics = Switched(new_registry("api"))
    app = create_app(Following(champion), Scored("nowhere", "simulated"), metrics, ApiSettings())
    return asyncio.run(_added(app, metrics, bodies))


async def _added(app: FastAPI, metrics: Switched, bodies: Sequence[bytes]) -> float:
    waiting, added = cycle(bodies), []
    for i in range(PAIRS):
        taken = {}
        for counting in (i % 2, 1 - i % 2):
            metrics.counting = bool(counting)
            began = process_time()
            for _ in range(REQUESTS):
                await _ask(app, next(waiting))
            metrics.settle()
            taken[counting] = (process_time() - began) / REQUESTS
        added.append(taken[1] - taken[0])
    return statistics.median(added)


async def _ask(app: FastAPI, body: bytes) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200, message

    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers}
    await app(scope, receive, send)
