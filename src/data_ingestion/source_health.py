"""Whether the source answers: in the log, in a metric and over HTTP.

The producer answers three paths. `/metrics` is for Prometheus. `/health` is 200 while the process
runs. `/ready` is 200 while the source answers; otherwise it is 503, and its `source` says since
when, why, and what to do.
"""

import json
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any, TypedDict
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from data_ingestion.clock import Clock
from monitoring.producer_metrics import NO_REQUEST, RESULTS, ProducerMetrics

log = logging.getLogger(__name__)

_LOG_SECONDS = 60.0
_MAX_REASON = 400

_UNREACHABLE = (
    "See whether this machine reaches BLOCKCHAIN_API_URL (name resolution, firewall). Where only "
    "a proxy leads out, set HTTPS_PROXY=http://host:port in the environment or .env and restart."
)
_NOT_THE_API = (
    "See what BLOCKCHAIN_API_URL answers: another server, a login page of the network, or a "
    "changed API. The producer tries again by itself."
)
REMEDIES = {
    NO_REQUEST: "See whether Kafka runs: the producer asks the source once the broker answers.",
    "timeout": _UNREACHABLE,
    "connection": _UNREACHABLE,
    "http_403": "The source refuses this address: wait, or use another one (HTTPS_PROXY); then "
    "raise REQUEST_INTERVAL_SECONDS, and run one producer an address.",
    "http_429": "The source limits requests and the producer waits as it is asked to. If it lasts, "
    "raise REQUEST_INTERVAL_SECONDS, and run one producer an address.",
    "http_5xx": "Nothing: the fault is the source's, and the producer tries again by itself.",
}
"""What to do about each reason; about any other, see what the address answers."""

Environment = dict[str, Any]
StartResponse = Callable[..., Any]


class SourceState(TypedDict):
    """`/ready` as JSON: since when the source is silent, a Unix time or null; texts, empty then."""

    silent_since: float | None
    reason: str
    remedy: str


class SourceHealth:
    """The source is silent when its last usable answer is `silent_after` seconds ago.

    Before its first answer, a failed request is enough.
    """

    def __init__(self, silent_after: float, clock: Clock, metrics: ProducerMetrics) -> None:
        self._silent_after = silent_after
        self._clock = clock
        self._last_answer = clock.time()
        self._has_answered = False
        self._note(NO_REQUEST, "no request was made")
        self._last_log = float("-inf")
        metrics.silent_since.set_function(lambda: self.silent_since or 0)
        for result in (NO_REQUEST, *RESULTS):
            metrics.silent.labels(result).set_function(partial(self._silent_by, result))

    def _note(self, result: str, reason: str) -> None:
        self._result, self._reason = result, reason[:_MAX_REASON]

    def _silent_by(self, result: str) -> float:
        return float(self._result == result and self.silent_since is not None)

    def answered(self) -> None:
        """Note a usable answer."""
        if self.silent_since is not None:
            silence = self._clock.time() - self._last_answer
            log.info("event=source_answers_again silent_seconds=%.0f", silence)
        self._last_answer = self._clock.time()
        self._has_answered = True
        self._note(NO_REQUEST, "no request was made since")
        self._last_log = float("-inf")

    def failed(self, result: str, reason: str) -> None:
        """Note a failed request, the kind of its failure (one of `RESULTS`), and why it failed."""
        self._note(result, reason)

    def log_silence(self) -> None:
        """Log that the source is silent, at most once a minute; called about once a second."""
        since = self.silent_since
        if since is not None and self._clock.monotonic() - self._last_log >= _LOG_SECONDS:
            self._last_log = self._clock.monotonic()
            state = self.state
            message = "event=source_silent since=%s reason=%s remedy=%s"
            log.warning(message, _utc(since), state["reason"], state["remedy"])

    @property
    def silent_since(self) -> float | None:
        """Unix time of the last answer, or of the start, while the source is silent, else None."""
        first_failed = not self._has_answered and self._result != NO_REQUEST
        late = self._clock.time() - self._last_answer >= self._silent_after
        return self._last_answer if first_failed or late else None

    @property
    def state(self) -> SourceState:
        """Since when the source is silent, why, and what to do about it."""
        since = self.silent_since
        if since is None:
            return SourceState(silent_since=None, reason="", remedy="")
        remedy = REMEDIES.get(self._result, _NOT_THE_API)
        return SourceState(silent_since=since, reason=self._reason, remedy=remedy)


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
            state = self._source.state
            ready = state["silent_since"] is None
            status = "200 OK" if ready else "503 Service Unavailable"
            return _json(start, status, {"ready": ready, "source": state})
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
