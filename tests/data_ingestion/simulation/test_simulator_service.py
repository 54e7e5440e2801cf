"""The simulator as a server in this process."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from core.settings import SimulatorSettings
from data_ingestion.simulation.faults import Fault
from data_ingestion.simulation.simulator_service import Simulator

SMALL = SimulatorSettings(simulator_first_block=100, simulator_rate=100, simulator_seed=1)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    running = Simulator(SMALL)
    running.start()
    yield running
    running.stop()


def get(simulator: Simulator, path: str) -> requests.Response:
    return requests.get(simulator.url + path, timeout=10)


def post(simulator: Simulator, path: str) -> Any:
    return requests.post(simulator.url + path, timeout=10).json()


def test_a_client_finds_every_mined_transaction_in_blocks(simulator: Simulator) -> None:
    post(simulator, "/simulator/burst?count=500")
    post(simulator, "/simulator/mine")
    tip = get(simulator, "/latestblock").json()["hash"]
    hashes: set[str] = set()
    while (answer := get(simulator, f"/rawblock/{tip}")).status_code == 200:
        hashes |= {item["hash"] for item in answer.json()["tx"]}
        tip = answer.json()["prev_block"]
    assert hashes == set(get(simulator, "/simulator/truth").json()["mined"])
    assert len(hashes) > 600


def test_traffic_goes_on_without_requests(simulator: Simulator) -> None:
    before = len(simulator.network.waiting)
    deadline = time.monotonic() + 10
    while len(simulator.network.waiting) < before + 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(simulator.network.waiting) >= before + 20


def test_requests_are_recorded_with_their_times(simulator: Simulator) -> None:
    started = time.monotonic()
    get(simulator, "/latestblock")
    get(simulator, "/simulator/health")
    get(simulator, "/unconfirmed-transactions?format=json")
    get(simulator, "/rawtx/none")
    log = get(simulator, "/simulator/requests").json()
    paths = ["/latestblock", "/unconfirmed-transactions", "/rawtx/none"]
    assert [entry["path"] for entry in log] == paths, "its own endpoints are not the source's"
    assert [entry["status"] for entry in log] == [200, 200, 404]
    times = [entry["monotonic"] for entry in log]
    assert started <= times[0] < times[1] < times[2] <= time.monotonic()


def test_faults_come_and_go_at_run_time(simulator: Simulator) -> None:
    post(simulator, "/simulator/faults?name=blocked&count=1")
    assert [get(simulator, "/latestblock").status_code for _ in range(2)] == [403, 200]
    assert [e["fault"] for e in get(simulator, "/simulator/requests").json()] == ["blocked", None]


def test_faults_can_be_on_from_the_start() -> None:
    simulator = Simulator(SMALL, [Fault(name="bad-gateway")])
    assert simulator.respond("GET", "/latestblock").status == 502


def test_metrics_count_what_happened(simulator: Simulator) -> None:
    post(simulator, "/simulator/inject?kind=zero_fee")
    post(simulator, "/simulator/mine")
    post(simulator, "/simulator/faults?name=unavailable&count=1")
    get(simulator, "/latestblock")
    get(simulator, "/latestblock")
    text = get(simulator, "/metrics").text
    assert 'bitcoin_simulator_transactions_total{origin="injected"} 1.0' in text
    assert 'bitcoin_simulator_transactions_total{origin="replayed"} 0.0' in text
    assert "bitcoin_simulator_blocks_total 2.0" in text
    assert "bitcoin_simulator_requests_total 2.0" in text
    assert "bitcoin_simulator_faults_total 1.0" in text
    height = next(line for line in text.splitlines() if line.startswith("bitcoin_simulator_height"))
    assert float(height.split()[1]) == simulator.network.chain.height


def test_a_start_without_a_seed_finds_the_market_that_the_last_one_left() -> None:
    unseeded = SMALL.model_copy(update={"simulator_seed": None, "simulator_market": "day"})
    started = [Simulator(unseeded, clock=lambda: 1.8e9), Simulator(unseeded, clock=lambda: 1.8e9)]
    first, second = (simulator.network.market for simulator in started)
    assert started[0].seed != started[1].seed
    assert first.level(1.8e9 + 3_600) == second.level(1.8e9 + 3_600) != first.level(1.8e9)
    assert first.going_rate(1.8e9) == pytest.approx(second.going_rate(1.8e9), rel=0.4)


def test_every_start_makes_new_transactions_unless_seeded() -> None:
    unseeded = SMALL.model_copy(update={"simulator_seed": None})
    truths = [
        set(Simulator(settings, clock=lambda: 1.8e9).network.truth.report()["mined"])
        for settings in (unseeded, unseeded, SMALL, SMALL)
    ]
    assert not truths[0] & truths[1]
    assert truths[2] == truths[3]
