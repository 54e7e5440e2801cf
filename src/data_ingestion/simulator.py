"""A stand-in for Blockchain.com: the same HTTP API, offline, with known anomalies and faults.

    cd src/data_ingestion && python simulator.py [--rate 7] [--seed N] [--replay FILE]
        [--market PATH] [--fault NAME[:PROBABILITY[:COUNT]]] [--block-seconds S] [--port N]

Its own endpoints are under /simulator/: health, truth, requests, faults, market, inject, mine,
burst, reorganise. Every answer has the header `X-Simulated: true`.
"""

import argparse
import logging
import signal
from threading import Event

from core import logs
from core.settings import BindSettings, SimulatorSettings
from data_ingestion.simulation.faults import Fault, error_message, parse_fault
from data_ingestion.simulation.simulator_service import Simulator

log = logging.getLogger(__name__)


def _arguments() -> tuple[SimulatorSettings, list[Fault]]:
    """Settings and faults of the command line; an option that is not given keeps its setting."""
    parser = argparse.ArgumentParser(description="A stand-in for Blockchain.com, offline.")
    parser.add_argument("--rate", dest="simulator_rate", help="transactions a second")
    parser.add_argument("--seed", dest="simulator_seed", help="repeat the same traffic")
    parser.add_argument("--replay", dest="simulator_replay", help="file to replay, .gz too")
    parser.add_argument("--market", dest="simulator_market", help="path of the fee level")
    parser.add_argument("--port", dest="simulator_port", help="0 takes a free one")
    parser.add_argument("--block-seconds", dest="simulator_block_seconds", help="between blocks")
    parser.add_argument(
        "--fault", dest="faults", action="append", default=[], metavar="NAME[:PROBABILITY[:COUNT]]"
    )
    options = {
        name: value for name, value in vars(parser.parse_args()).items() if value is not None
    }
    try:
        faults = [parse_fault(text) for text in options.pop("faults")]
        settings = SimulatorSettings(**options)
    except ValueError as error:
        parser.error(error_message(error))
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
    log.info(
        "event=simulator_started url=%s seed=%d rate=%g market=%s",
        url,
        simulator.seed,
        settings.simulator_rate,
        settings.market_path,
    )
    stop.wait()
    simulator.stop()
    log.info("event=simulator_stopped")


if __name__ == "__main__":
    main()
