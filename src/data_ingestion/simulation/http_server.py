"""The simulator's HTTP server: a thread a connection, keep-alive, and deliveries that go wrong.

It knows nothing of transactions. A function of method and target gives an `Answer`; this module
writes it to the socket, whole or in one of the bad ways that a fault asks for.
"""

import json
import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

log = logging.getLogger(__name__)

JSON_TYPE = "application/json; charset=utf-8"

_LENGTH = re.compile("[0-9]{1,7}")
"""A body's length that is read: no request needs one of 10 MB."""

_SLOW_PIECES = 20
"""Pieces in which a slow answer is written."""


class Delivery(Enum):
    """How an answer is written to the socket; the values are also names of faults."""

    PLAIN = "plain"
    SLOW = "slow"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; `seconds` is how long a slow delivery or a timeout takes."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    delivery: Delivery = Delivery.PLAIN
    seconds: float = 0
    retry_after: int | None = None


def json_answer(value: object, status: int = 200) -> Answer:
    """An answer with this value as compact JSON."""
    return Answer(status, json.dumps(value, separators=(",", ":")).encode())


Respond = Callable[[str, str], Answer]
"""From method and target (path with query) to the answer; called by several threads at once."""


class SimulatorServer(ThreadingHTTPServer):
    """Answers with `respond`; setting `stopping` cuts slow deliveries short."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str, port: int, respond: Respond) -> None:
        self.respond, self.stopping = respond, Event()
        super().__init__((address, port), _Handler)
        self.port = int(self.server_address[1])
        self.url = f"http://{address}:{self.port}"

    def handle_error(self, _request: object, client_address: object) -> None:
        """Log an exception of a request, unless it only says that the client has gone."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            log.exception("event=simulator_request_failed client=%s", client_address)

    def end(self) -> None:
        """Close the port and cut slow deliveries short; calling it again does nothing."""
        if not self.stopping.is_set():
            self.stopping.set()
            self.shutdown()
            self.server_close()


def listen(address: str, port: int, respond: Respond) -> SimulatorServer:
    """Serve in a background thread; port 0 takes a free one.

    Raises `OSError` when the port is taken.
    """
    server = SimulatorServer(address, port, respond)
    Thread(target=server.serve_forever, args=(0.1,), name="simulator", daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "BitcoinSimulator"
    server: SimulatorServer
    timeout = 120
    wbufsize = -1  # headers and body leave together

    def do_GET(self) -> None:
        self._deliver(self.server.respond("GET", self.path))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not _LENGTH.fullmatch(length):
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            self.close_connection = True
            return
        self.rfile.read(int(length))
        self._deliver(self.server.respond("POST", self.path))

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the simulator records its requests itself."""

    def _deliver(self, answer: Answer) -> None:
        if answer.delivery is not Delivery.PLAIN:
            self.close_connection = True
        if answer.delivery is Delivery.TIMEOUT:
            self.server.stopping.wait(answer.seconds)
            return
        self._write_headers(answer)
        if answer.delivery is Delivery.SLOW:
            self._write_slowly(answer)
        elif answer.delivery is Delivery.TRUNCATED:
            self.wfile.write(answer.body[: len(answer.body) // 2])
        else:
            self.wfile.write(answer.body)

    def _write_headers(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("X-Simulated", "true")
        if answer.retry_after is not None:
            self.send_header("Retry-After", str(answer.retry_after))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _write_slowly(self, answer: Answer) -> None:
        step = len(answer.body) // _SLOW_PIECES + 1
        for start in range(0, len(answer.body), step):
            self.wfile.write(answer.body[start : start + step])
            self.wfile.flush()
            if self.server.stopping.wait(answer.seconds / _SLOW_PIECES):
                return
