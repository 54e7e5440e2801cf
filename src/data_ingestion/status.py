"""What the producer answers over HTTP: /metrics, /health (it runs) and /ready (its source answers).

/ready is 200 while the source answers, else 503 with a sentence saying since when not and why.
"""

import json
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from data_ingestion.source_state import SourceState

Environment = dict[str, Any]
StartResponse = Callable[..., Any]


class StatusServer:
    """Serves on a thread of its own from `start` to `stop`; port 0 takes a free one."""

    def __init__(self, registry: CollectorRegistry, source: SourceState) -> None:
        self._metrics = make_wsgi_app(registry)
        self._source = source
        self._server: WSGIServer | None = None

    def start(self, address: str, port: int) -> int:
        """Listen; returns the port. Raises `OSError` when it is taken."""
        self._server = make_server(address, port, self.answer, _Server, _Quiet)
        Thread(target=self._server.serve_forever, args=(0.1,), name="status", daemon=True).start()
        return self._server.server_port

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def answer(self, environment: Environment, start: StartResponse) -> Iterable[bytes]:
        """The WSGI application."""
        path = environment.get("PATH_INFO")
        if path == "/ready":
            ready = self._source.silent_since is None
            status = "200 OK" if ready else "503 Service Unavailable"
            return _json(start, status, {"ready": ready, "source": self._source.sentence})
        if path == "/health":
            return _json(start, "200 OK", {"status": "ok"})
        answer: Iterable[bytes] = self._metrics(environment, start)
        return answer


def _json(start: StartResponse, status: str, body: dict[str, object]) -> list[bytes]:
    start(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A scrape every few seconds is no event."""
