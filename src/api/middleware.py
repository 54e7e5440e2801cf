"""What every request passes before its route, from the outside in.

`RequestMiddleware` counts the request, adds security headers and answers unexpected errors.
`CallerMiddleware` finds out who is asking, where that matters. `LimitMiddleware` limits how many
requests are in flight, and for how long.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.callers import API_KEY_HEADER, Callers, set_caller
from api.errors import problem_response
from core.settings import ApiSettings
from monitoring.api_metrics import UNMATCHED, ApiMetrics

OPEN_PATHS = ("/health", "/ready", "/metrics", "/docs", "/openapi.json")
"""Paths that answer without the key, with all below them: probes, scrapes and documentation."""

UNLIMITED_PATHS = frozenset({"/health", "/ready", "/metrics"})
"""Paths that answer however busy the service is, so that monitoring always sees it."""

_CLIENT_LEFT = 499
_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
_CLOSED_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_log = logging.getLogger(__name__)


class RequestMiddleware:
    """Counts requests, adds security headers, and answers 500 to unexpected errors.

    The caller gets a problem detail and the log gets the traceback. `root_path` is the path below
    which a proxy publishes the service. HEAD is answered as GET is, but for the body: the answer is
    whole with its head, so that one without an end, or a file, is not written for nobody.
    """

    def __init__(self, app: ASGIApp, metrics: ApiMetrics, root_path: str = "") -> None:
        self.app, self.metrics, self.root_path = app, metrics, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.root_path:
            _set_root_path(scope, self.root_path)
        if is_head := scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # a copy: the server's own tells it to send no body
        started, answered = time.perf_counter(), 0.0
        status = 0

        async def send_secured(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
                message["headers"] = _secured(message["headers"])
            await send(message)
            if is_head:
                await send({"type": "http.response.body"})
                raise _HeadAnsweredError

        try:
            await self.app(scope, receive, send_secured)
        except _HeadAnsweredError:
            return
        except ClientDisconnect:
            status = _CLIENT_LEFT
        except Exception as error:
            if status and isinstance(error, AnswerCutError | OverdueError):
                _log.warning("event=answer_cut path=%r reason=%s", scope["path"][:200], error)
                return  # the answer has begun: the server closes the connection
            if status:
                raise
            with suppress(_HeadAnsweredError):
                await _answer_error(error, scope, receive, send_secured)
        finally:
            route = scope.get("route")
            path = UNMATCHED if route is None else route.path
            seconds = (answered or time.perf_counter()) - started
            self.metrics.record_request(path, status, seconds)


async def _answer_error(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    if isinstance(error, OverdueError):
        response = problem_response(scope, 503, str(error))
    else:
        detail = "An unexpected error occurred; the service's log has it under the request id."
        response = problem_response(scope, 500, detail)
        request_id = response.headers["x-request-id"]
        _log.error("event=unexpected_error request_id=%s", request_id, exc_info=error)
    await response(scope, receive, send)


def _secured(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Add the security headers; an answer that has a content security policy keeps it."""
    for name, _ in headers:
        if name == b"content-security-policy":
            return [*headers, *_SECURITY_HEADERS]
    return [*headers, *_SECURITY_HEADERS, _CLOSED_POLICY]


class CallerMiddleware:
    """Notes who is asking, for the routes; answers 401 without a key and 403 without permission.

    The open paths answer everybody. Reading and scoring need the permission `read`; a route that
    writes asks for its own.
    """

    def __init__(self, app: ASGIApp, callers: Callers) -> None:
        self.app, self.callers = app, callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401 or 403."""
        if scope["type"] != "http" or is_open(path := route_path(scope)):
            await self.app(scope, receive, send)
            return
        caller = self.callers.caller(scope)
        if caller is None:
            headers = {"WWW-Authenticate": f'ApiKey header="{API_KEY_HEADER}"'}
            detail = f"Send a key of this service in the header {API_KEY_HEADER}."
            await problem_response(scope, 401, detail, headers=headers)(scope, receive, send)
            return
        reads = scope["method"] == "GET" or path.startswith("/predict")
        if reads and "read" not in caller.permissions:
            detail = "This key has no permission to read."
            await problem_response(scope, 403, detail)(scope, receive, send)
            return
        set_caller(scope, caller)
        await self.app(scope, receive, send)


def _set_root_path(scope: Scope, root_path: str) -> None:
    """Set it, and add it to the path where the proxy has stripped it: ASGI wants both alike."""
    scope["root_path"] = root_path
    if not scope["path"].startswith(f"{root_path}/"):
        scope["path"] = root_path + scope["path"]


def route_path(scope: Scope) -> str:
    """Return the path of a request as routes name it: without the path that a proxy adds."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def is_open(path: str) -> bool:
    """Return whether a path answers without the key."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in OPEN_PATHS)


class OverdueError(Exception):
    """A request took longer than the limit."""


class AnswerCutError(Exception):
    """An answer in parts cannot be continued; the caller sees a connection that breaks."""


class _HeadAnsweredError(Exception):
    """The head of an answer to HEAD has been sent, and nothing comes after it."""


class RequestsInFlight:
    """The requests in flight, each with the time since when it may take no longer than the limit.

    That is its arrival, on the monotonic clock. An answer in parts is one of `streams` instead: it
    does not count among the requests, its route bounds their number, and its time begins anew
    whenever its caller has taken a part. No timer is set for a request, since that would cost more
    than scoring one: the heartbeat calls `cancel_overdue` once a second.
    """

    def __init__(self) -> None:
        self.arrivals: dict[asyncio.Task[object], float] = {}
        self.streams: dict[asyncio.Task[object], float] = {}
        self.overdue: set[asyncio.Task[object]] = set()

    def begin_stream(self) -> Callable[[], None]:
        """Make the present request a stream; call the result whenever a part has been taken."""
        task = asyncio.current_task()
        assert task is not None
        self.arrivals.pop(task, None)

        def taken() -> None:
            self.streams[task] = time.monotonic()

        taken()
        return taken

    def end(self, task: asyncio.Task[object]) -> None:
        """Forget a request."""
        self.arrivals.pop(task, None)
        self.streams.pop(task, None)
        self.overdue.discard(task)

    def cancel_overdue(self, seconds: float) -> None:
        """Cancel the requests that have taken more than so many seconds."""
        earliest = time.monotonic() - seconds
        timed = [*self.arrivals.items(), *self.streams.items()]
        for task in [task for task, since in timed if since < earliest]:
            if task not in self.overdue:
                self.overdue.add(task)
                task.cancel()


class LimitMiddleware:
    """Answers 503 when too many requests are in flight, and to a request that takes too long."""

    def __init__(self, app: ASGIApp, in_flight: RequestsInFlight, settings: ApiSettings) -> None:
        self.app, self.in_flight = app, in_flight
        self.max_requests = settings.api_max_requests
        self.max_seconds = settings.api_request_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 503; raises `OverdueError` when it took too long."""
        if scope["type"] != "http" or route_path(scope) in UNLIMITED_PATHS:
            await self.app(scope, receive, send)
            return
        arrivals = self.in_flight.arrivals
        if len(arrivals) >= self.max_requests:
            detail = f"{self.max_requests:,} requests are under way already: try again shortly."
            await problem_response(scope, 503, detail)(scope, receive, send)
            return
        task = asyncio.current_task()
        assert task is not None
        arrivals[task] = time.monotonic()
        try:
            await self.app(scope, receive, send)
        except asyncio.CancelledError:
            if task not in self.in_flight.overdue:  # the server stops, or the caller left
                raise
            task.uncancel()
            detail = f"The request took longer than the limit of {self.max_seconds:g} s."
            raise OverdueError(detail) from None
        finally:
            self.in_flight.end(task)
