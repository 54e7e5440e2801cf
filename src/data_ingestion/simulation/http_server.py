"""HTTP in front of the simulated network: threads, keep-alive, deliveries good and bad."""

import logging
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

from data_ingestion.simulation.answers import Answer, Manner

log = logging.getLogger(__name__)

Respond = Callable[[str, str], Answer]
"""From method and target (path with query) to the answer; called by several threads at once."""

_PIECES = 20
"""A slow answer comes in so many pieces."""


class SimulatorServer(ThreadingHTTPServer):
    """Answers with `respond`; `stopping` ends slow deliveries early."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str, port: int, respond: Respond) -> None:
        self.respond, self.stopping = respond, Event()
        super().__init__((address, port), _Handler)
        self.port = int(self.server_address[1])
        self.url = f"http://{address}:{self.port}"

    def handle_error(self, _request: object, client_address: object) -> None:
        """Say what went wrong, but for a client that is gone: it may go whenever it likes."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            log.exception("failed client=%s", client_address)

    def end(self) -> None:
        """Close the port and cut what is still being delivered; a second time does nothing."""
        if not self.stopping.is_set():
            self.stopping.set()
            self.shutdown()
            self.server_close()


def listen(address: str, port: int, respond: Respond) -> SimulatorServer:
    """Serve on a thread of its own; port 0 takes a free one.

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
        self.rfile.read(int(length) if length.isdecimal() else 0)
        self._deliver(self.server.respond("POST", self.path))

    def log_message(self, format: str, *args: object) -> None:
        """Requests are in the simulator's own record, not in its log."""

    def _deliver(self, answer: Answer) -> None:
        if answer.manner is not Manner.PLAIN:
            self.close_connection = True
        if answer.manner is Manner.TIMEOUT:
            self.server.stopping.wait(answer.seconds)
            return
        self._write_headers(answer)
        if answer.manner is Manner.SLOW:
            self._dribble(answer)
        elif answer.manner is Manner.TRUNCATED:
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

    def _dribble(self, answer: Answer) -> None:
        step = len(answer.body) // _PIECES + 1
        for start in range(0, len(answer.body), step):
            self.wfile.write(answer.body[start : start + step])
            self.wfile.flush()
            if self.server.stopping.wait(answer.seconds / _PIECES):
                return
