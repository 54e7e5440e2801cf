"""The outermost middleware: every request passes it, is counted, and leaves with safe headers.

Whatever goes wrong further in is answered here: the caller gets problem details, never a traceback.
"""

import logging
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.limits import OverdueError
from api.problems import problem
from monitoring.api_metrics import UNMATCHED, ApiMetrics

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
_CLOSED_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_JSON_HEADERS = [*_HEADERS, _CLOSED_POLICY]
_LEFT = 499
_log = logging.getLogger(__name__)


class Entrance:
    """Counts requests, adds security headers, and answers for errors nobody expected."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and see it leave."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def leave(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_policy(message["headers"])]
            await send(message)

        try:
            await self.app(scope, receive, leave)
        except ClientDisconnect:
            status = _LEFT
        except Exception as error:
            await self._answer_for(error, status > 0, scope, receive, leave)
        finally:
            route = scope.get("route")
            path = route.path if route is not None else UNMATCHED
            self.metrics.answered(path, status, time.perf_counter() - began)

    async def _answer_for(
        self, error: Exception, begun: bool, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if begun:  # nothing can be taken back: the server closes the connection
            raise error
        if isinstance(error, OverdueError):
            answer = problem(scope, 503, str(error))
        else:
            answer = problem(scope, 500, "Something went wrong here; the log has the request id.")
            _log.error("unexpected request_id=%s", answer.headers["x-request-id"], exc_info=error)
        await answer(scope, receive, send)


def _policy(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers to add: a page of ours brings its own policy."""
    for name, _ in headers:
        if name == b"content-security-policy":
            return _HEADERS
    return _JSON_HEADERS
