"""As much of MLflow's server as a follower asks: one registered model, and a version's files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Registry:
    """What the server answers; `answer`, while it is set, replaces every answer of its API."""

    origin: str = "simulated"
    champion: str | None = None
    created: int = 1_795_428_000_000
    folder: Path | None = None
    answer: tuple[int, bytes] | None = None
    cut_short: bool = False
    asked: list[str] = field(default_factory=list)

    def resource(self, path: str) -> Any:
        if path.endswith("/registered-models/get"):
            alias = {"alias": "champion", "version": self.champion}
            aliases = [alias] if self.champion else []
            tags = [{"key": "origin", "value": self.origin}]
            return {"registered_model": {"tags": tags, "aliases": aliases}}
        return {"model_version": {"creation_timestamp": self.created, "source": "models:/m-1"}}


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            registry.asked.append(parts.path)
            if "/api/" in parts.path:
                content = registry.answer or (
                    200,
                    json.dumps(registry.resource(parts.path)).encode(),
                )
                self._answer(*content)
            else:
                self._file(parse_qs(parts.query)["path"][0])

        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            registry.champion = content["version"]
            self._answer(200, b"{}")

        def _file(self, name: str) -> None:
            file = (registry.folder or Path("nowhere")) / name
            if file.exists():
                self._answer(200, file.read_bytes())
            else:
                self._answer(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}')

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content) + registry.cut_short))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(registry: Registry) -> Iterator[str]:
    """Serve a registry on a thread; its tracking URI."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(registry)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
