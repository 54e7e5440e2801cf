"""A stand-in for Blockchain.com: the same HTTP API, offline, with known anomalies and bad days.

    cd src/data_ingestion && python simulator.py [--rate 7] [--seed N] [--replay FILE]
        [--fault NAME[:PROBABILITY[:COUNT]]] [--port N]

Its own endpoints lie under /simulator/: health, truth, requests, faults, inject, mine, burst,
reorganise. Every answer says `X-Simulated: true`.
"""

import argparse
import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from random import Random, SystemRandom
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from core import logs
from core.settings import BindSettings, SimulatorSettings
from data_ingestion.simulation.answers import Answer, words
from data_ingestion.simulation.blockchain_api import BlockchainApi
from data_ingestion.simulation.control_api import ControlApi
from data_ingestion.simulation.faults import Fault, Faults, parse_fault
from data_ingestion.simulation.http_server import SimulatorServer, listen
from data_ingestion.simulation.network import Network
from monitoring.prometheus_metrics import new_registry
from monitoring.simulator_metrics import SimulatorMetrics

log = logging.getLogger(__name__)

_TICK = 0.2
"""Seconds between two looks at the clock while nobody asks."""

_LOGGED_REQUESTS = 100_000


class Simulator:
    """The simulated source as a server; `start` returns its URL, `stop` ends its threads."""

    def __init__(
        self,
        settings: SimulatorSettings | None = None,
        faults: Sequence[Fault] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or SimulatorSettings()
        chosen = self.settings.simulator_seed
        self.seed = SystemRandom().getrandbits(32) if chosen is None else chosen
        self.metrics = SimulatorMetrics(new_registry("simulator"))
        self.network = Network(self.settings, self.seed, clock(), self.metrics)
        self.faults = Faults(Random(self.seed))
        for fault in faults:
            self.faults.switch_on(fault)
        self.requests: deque[dict[str, Any]] = deque(maxlen=_LOGGED_REQUESTS)
        self._api = BlockchainApi(self.network)
        self._control = ControlApi(self.network, self.faults, self.requests)
        self._clock, self._lock, self._stopped = clock, Lock(), Event()
        self._server: SimulatorServer | None = None
        self.url = ""

    def start(self, address: str = "127.0.0.1", port: int = 0) -> str:
        """Serve until `stop`; port 0 takes a free one. Raises `OSError` when it is taken."""
        self._server = listen(address, port, self.respond)
        self.url = self._server.url
        Thread(target=self._tick, daemon=True).start()
        return self.url

    def stop(self) -> None:
        """Close the port and end the threads; slow deliveries are cut."""
        self._stopped.set()
        if self._server is not None:
            self._server.end()

    def respond(self, method: str, target: str) -> Answer:
        """The answer to one request; the network lives on to this moment first."""
        parts = urlsplit(target)
        if parts.path == "/metrics":
            return Answer(200, generate_latest(self.metrics.registry), CONTENT_TYPE_LATEST)
        arrived = time.monotonic()
        with self._lock:
            now = self._clock()
            self.network.advance(now)
            if parts.path.startswith("/simulator/"):
                name = parts.path.removeprefix("/simulator/")
                return self._control.answer(method, name, dict(parse_qsl(parts.query)), now)
            fault = self.faults.strike(parts.path)
            answer = self._api.answer(parts.path, fault, now)
            self._record(parts.path, answer, fault, arrived)
            return answer

    def _record(self, path: str, answer: Answer, fault: Fault | None, arrived: float) -> None:
        self.metrics.requests.inc()
        if fault is not None:
            self.metrics.faults.inc()
        self.requests.append(
            {
                "monotonic": arrived,
                "path": path,
                "status": answer.status,
                "fault": fault.name if fault else None,
            }
        )

    def _tick(self) -> None:
        while not self._stopped.wait(_TICK):
            with self._lock:
                self.network.advance(self._clock())


def _arguments() -> tuple[SimulatorSettings, list[Fault]]:
    """The command line over the settings: an option that is not given keeps its setting."""
    parser = argparse.ArgumentParser(description="A stand-in for Blockchain.com, offline.")
    parser.add_argument("--rate", dest="simulator_rate", help="transactions a second")
    parser.add_argument("--seed", dest="simulator_seed", help="make the same traffic again")
    parser.add_argument("--replay", dest="simulator_replay", help="file to replay, .gz too")
    parser.add_argument("--port", dest="simulator_port", help="0 takes a free one")
    parser.add_argument("--block-seconds", dest="simulator_block_seconds", help="between blocks")
    parser.add_argument(
        "--fault", dest="faults", action="append", default=[], metavar="NAME[:PROBABILITY[:COUNT]]"
    )
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    try:
        faults = [parse_fault(text) for text in given.pop("faults")]
        settings = SimulatorSettings(**given)
    except ValueError as wrong:
        parser.error(words(wrong))
    if settings.simulator_replay and not settings.simulator_replay.is_file():
        parser.error(f"there is no file {settings.simulator_replay} to replay")
    return settings, faults


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    settings, faults = _arguments()
    logs.configure("simulator")
    stop = Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.set())
    simulator = Simulator(settings, faults)
    url = simulator.start(BindSettings().bind_address, settings.simulator_port)
    log.info("started url=%s seed=%d rate=%g", url, simulator.seed, settings.simulator_rate)
    stop.wait()
    simulator.stop()
    log.info("stopped")


if __name__ == "__main__":
    main()
