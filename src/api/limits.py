"""How many requests may be under way, and for how long.

No timer is set for a request, since that would cost more than scoring one: the requests under way
are kept with their times of arrival, and one sweep a second ends those that are over the limit.
"""

import asyncio
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import problem
from core.settings import ApiSettings

ALWAYS_ANSWERED = frozenset({"/health", "/ready", "/metrics"})
"""Paths that answer however busy the service is: whoever watches it must not be turned away."""


class OverdueError(Exception):
    """A request that took longer than it may."""


class UnderWay:
    """The requests under way, each with its time of arrival on the monotonic clock."""

    def __init__(self) -> None:
        self.arrivals: dict[asyncio.Task[object], float] = {}
        self.overdue: set[asyncio.Task[object]] = set()

    def end_overdue(self, seconds: float) -> None:
        """Cancel the requests that arrived longer ago than so many seconds."""
        latest = time.monotonic() - seconds
        for task in [task for task, arrival in self.arrivals.items() if arrival < latest]:
            if task not in self.overdue:
                self.overdue.add(task)
                task.cancel()


class Limits:
    """Answers 503 at once to what is too much, and after a while to what takes too long."""

    def __init__(self, app: ASGIApp, under_way: UnderWay, settings: ApiSettings) -> None:
        self.app, self.under_way = app, under_way
        self.most, self.seconds = settings.api_max_requests, settings.api_request_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in unless too many are; raises `OverdueError` when it takes too long."""
        if scope["type"] != "http" or scope["path"] in ALWAYS_ANSWERED:
            await self.app(scope, receive, send)
            return
        arrivals = self.under_way.arrivals
        if len(arrivals) >= self.most:
            sentence = f"{self.most:,} requests are under way already: try again shortly."
            await problem(scope, 503, sentence)(scope, receive, send)
            return
        task = asyncio.current_task()
        assert task is not None
        arrivals[task] = time.monotonic()
        try:
            await self.app(scope, receive, send)
        except asyncio.CancelledError:
            self._tell_overdue(task)
            raise
        finally:
            arrivals.pop(task, None)

    def _tell_overdue(self, task: asyncio.Task[object]) -> None:
        if task in self.under_way.overdue:
            self.under_way.overdue.discard(task)
            task.uncancel()
            raise OverdueError(f"The request took longer than the limit of {self.seconds:g} s.")
