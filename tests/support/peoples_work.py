"""What people do with a running stack: they watch, mark, mute, and are told of cases."""

import json
import threading
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.demo_stack import Demo, ask

from data_ingestion.simulation.rendering import address_of

KNOWN_PAYER, WATCHED_PAYER, WAVE_PAYER = "a known payer", "a watched payer", "a payer of dust"
SECRET = "a secret of a test"
ROUTES = """
routes:
  - name: desk
    webhook: {{url: "http://127.0.0.1:{port}/", secret: "{secret}"}}
    from: low
    cool_down: 1h
"""


class Desk:
    """Receives alerts over HTTP; `messages` has what was accepted, in order."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                desk.messages.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing: the test reads `messages`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def write_routes(self, path: Path) -> Path:
        """A file of one route that leads here."""
        path.write_text(ROUTES.format(port=self._server.server_port, secret=SECRET))
        return path

    def told_of(self, case: int) -> list[dict[str, Any]]:
        """The messages about one case."""
        return [
            message
            for message in self.messages
            if case in [message.get("case"), *(each["case"] for each in message.get("cases", ()))]
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def inject(demo: Demo, kind: str, payer: str) -> dict[str, Any]:
    """Let the simulator publish an anomaly that one address pays for: its hash and that address."""
    name = urllib.request.quote(payer)  # type: ignore[attr-defined]
    path = f"/simulator/inject?kind={kind}&payer={name}"
    answer: dict[str, Any] = ask(f"{demo.url('SIMULATOR_PORT')}{path}", method="POST")
    assert answer is not None, "the simulator refuses"
    return answer


def watch(demo: Demo, payer: str) -> None:
    """Put the address of a payer on the watch list."""
    entry = {"entry": address_of(payer), "name": "Ann", "reason": "a test", "severity": "high"}
    assert ask(f"{demo.url('API_PORT')}/watch-list", {"entries": [entry], "author": "ann"})


def mute(demo: Demo, payer: str) -> None:
    """Mute what a payer pays, for a day."""
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    body = {"address": address_of(payer), "until": until, "note": "ours", "author": "ann"}
    assert ask(f"{demo.url('API_PORT')}/mutes", body)


def mark(demo: Demo, mark: str, *hashes: str) -> None:
    """Mark flagged transactions."""
    body = {"hashes": hashes, "mark": mark, "author": "ann"}
    assert ask(f"{demo.url('API_PORT')}/marks", body)


def work(demo: Demo) -> None:
    """Do each thing once: watch a payer, mute another, mark a flag, and listen to the stream."""
    watch(demo, WATCHED_PAYER)
    mute(demo, KNOWN_PAYER)
    flagged = demo.rows("scored_transactions", "hash, is_anomaly") or []
    mark(demo, "useful", *[row["hash"] for row in flagged if row["is_anomaly"]][:1])
    with (
        suppress(TimeoutError),
        urllib.request.urlopen(f"{demo.url('API_PORT')}/anomalies/stream", timeout=1) as events,
    ):
        events.read(64)


def go_on(demo: Demo) -> None:
    """Let the watched and the muted payer pay again."""
    inject(demo, "dust_fan_out", WATCHED_PAYER)
    inject(demo, "fat_finger_fee", KNOWN_PAYER)
