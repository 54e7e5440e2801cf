"""Whether the source answers: in the log, in a metric and over HTTP.

The producer answers three paths. `/metrics` is for Prometheus. `/health` is 200 while the process
runs. `/ready` is 200 while the source answers; otherwise it is 503, since when and why.
"""

import json
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from data_ingestion.clock import Clock
from monitoring.producer_metrics import ProducerMetrics

log = logging.getLogger(__name__)

_LOG_SECONDS = 60.0

Environment = dict[str, Any]
StartResponse = Callable[..., Any]


class SourceHealth:
    """The source is silent when its last usable answer is `silent_after` seconds ago."""

    def __init__(self, silent_after: float, clock: Clock, metrics: ProducerMetrics) -> None:
        self._silent_after = silent_after
        self._clock = clock
        self._last_answer = clock.time()
        self._reason = "no request was made yet"
        self._last_log = float("-inf")
        metrics.silent_since.set_function(lambda: self.silent_since or 0)

    def answered(self) -> None:
        """Note a usable answer."""
        if self.silent_since is not None:
            silence = self._clock.time() - self._last_answer
            log.info("event=source_answers_again silent_seconds=%.0f", silence)
        self._last_answer = self._clock.time()
        self._last_log = float("-inf")

    def failed(self, reason: str) -> None:
        """Note a failed request, and why it failed."""
        self._reason = reason

    def log_silence(self) -> None:
        """Log that the source is silent, at most once a minute; called about once a second."""
        since = self.silent_since
        if since is not None and self._clock.monotonic() - self._last_log >= _LOG_SECONDS:
            self._last_log = self._clock.monotonic()
            log.warning("event=source_silent since=%s reason=%s", _utc(since), self._reason)

    @property
    def silent_since(self) -> float | None:
        """Unix time of the last answer while the source is silent, else None."""
        if self._clock.time() - self._last_answer < self._silent_after:
            return None
        return self._last_answer

    @property
    def description(self) -> str:
        """`answers`, or since when the source is silent and why."""
        since = self.silent_since
        return "answers" if since is None else f"silent since {_utc(since)}: {self._reason}"


def _utc(unix_time: float) -> str:
    return datetime.fromtimestamp(unix_time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class HealthServer:
    """Answers HTTP on its own thread from `start` to `stop`."""

    def __init__(self, registry: CollectorRegistry, source: SourceHealth) -> None:
        self._metrics = make_wsgi_app(registry)
        self._source = source
        self._server: WSGIServer | None = None

    def start(self, address: str, port: int) -> int:
        """Listen; returns the port, a free one for port 0. Raises `OSError` if it is taken."""
        self._server = make_server(address, port, self._respond, _Server, _QuietHandler)
        Thread(target=self._server.serve_forever, args=(0.1,), name="health", daemon=True).start()
        return self._server.server_port

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _respond(self, environment: Environment, start: StartResponse) -> Iterable[bytes]:
        """The WSGI application."""
        path = environment.get("PATH_INFO")
        if path == "/ready":
            ready = self._source.silent_since is None
            status = "200 OK" if ready else "503 Service Unavailable"
            return _json(start, status, {"ready": ready, "source": self._source.description})
        if path == "/health":
            return _json(start, "200 OK", {"status": "ok"})
        response: Iterable[bytes] = self._metrics(environment, start)
        return response


def _json(start: StartResponse, status: str, body: dict[str, object]) -> list[bytes]:
    start(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Do not log: Prometheus sends a request every few seconds."""
