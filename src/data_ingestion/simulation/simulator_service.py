"""The running simulator: the network, its faults and its two APIs behind one HTTP server."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from random import Random, SystemRandom
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from core.background import BackgroundLoop
from core.settings import SimulatorSettings
from data_ingestion.simulation.blockchain_api import BlockchainApi
from data_ingestion.simulation.control_api import ControlApi
from data_ingestion.simulation.faults import Fault, Faults
from data_ingestion.simulation.http_server import Answer, SimulatorServer, listen
from data_ingestion.simulation.network import Network
from monitoring.prometheus_metrics import new_registry
from monitoring.simulator_metrics import SimulatorMetrics

_ADVANCE_SECONDS = 0.2
"""How often the network advances while no request arrives."""

_RECORDED_REQUESTS = 100_000


class Simulator:
    """The simulated source as a server; `start` returns its URL, `stop` ends its threads."""

    def __init__(
        self,
        settings: SimulatorSettings | None = None,
        faults: Sequence[Fault] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or SimulatorSettings()
        seed = self.settings.simulator_seed
        self.seed = SystemRandom().getrandbits(32) if seed is None else seed
        self.metrics = SimulatorMetrics(new_registry("simulator"))
        self.network = Network(self.settings, self.seed, clock(), self.metrics)
        self.faults = Faults(Random(self.seed))
        for fault in faults:
            self.faults.switch_on(fault)
        self.requests: deque[dict[str, Any]] = deque(maxlen=_RECORDED_REQUESTS)
        self._blockchain_api = BlockchainApi(self.network)
        self._control_api = ControlApi(self.network, self.faults, self.requests)
        self._clock, self._lock = clock, Lock()
        self._loop = BackgroundLoop("network", self._advance, _ADVANCE_SECONDS)
        self._server: SimulatorServer | None = None
        self.url = ""

    def start(self, address: str = "127.0.0.1", port: int = 0) -> str:
        """Serve until `stop`; port 0 takes a free one. Raises `OSError` when it is taken."""
        self._server = listen(address, port, self.respond)
        self.url = self._server.url
        self._loop.start()
        return self.url

    def stop(self) -> None:
        """Close the port and end the threads; slow deliveries are cut short."""
        self._loop.stop()
        if self._server is not None:
            self._server.end()

    def respond(self, method: str, target: str) -> Answer:
        """The answer to one request, after the network has advanced to this moment."""
        parts = urlsplit(target)
        if parts.path == "/metrics":
            return Answer(200, generate_latest(self.metrics.registry), CONTENT_TYPE_LATEST)
        received = time.monotonic()
        with self._lock:
            now = self._clock()
            self.network.advance(now)
            if parts.path.startswith("/simulator/"):
                name = parts.path.removeprefix("/simulator/")
                return self._control_api.answer(method, name, dict(parse_qsl(parts.query)), now)
            fault = self.faults.draw(parts.path)
            answer = self._blockchain_api.answer(parts.path, fault, now)
            self._record(parts.path, answer, fault, received)
            return answer

    def _record(self, path: str, answer: Answer, fault: Fault | None, received: float) -> None:
        self.metrics.requests.inc()
        if fault is not None:
            self.metrics.faults.inc()
        self.requests.append(
            {
                "monotonic": received,
                "path": path,
                "status": answer.status,
                "fault": fault.name if fault else None,
            }
        )

    def _advance(self) -> None:
        with self._lock:
            self.network.advance(self._clock())
