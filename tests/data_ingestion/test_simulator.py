"""The simulator as a server and as a script."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from core.settings import SimulatorSettings
from data_ingestion.simulation.faults import FAULTS, Fault
from data_ingestion.simulator import Simulator

FOLDER = Path(__file__).parents[2] / "src" / "data_ingestion"
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


def wait_until_said(log: Path, words: str) -> str:
    for _ in range(1_200):
        if words in log.read_text():
            return log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_a_client_finds_every_mined_transaction_in_blocks(simulator: Simulator) -> None:
    post(simulator, "/simulator/burst?count=500")
    post(simulator, "/simulator/mine")
    tip = get(simulator, "/latestblock").json()["hash"]
    found: set[str] = set()
    while (answer := get(simulator, f"/rawblock/{tip}")).status_code == 200:
        found |= {item["hash"] for item in answer.json()["tx"]}
        tip = answer.json()["prev_block"]
    assert found == set(get(simulator, "/simulator/truth").json()["mined"])
    assert len(found) > 600


def test_traffic_goes_on_while_nobody_asks(simulator: Simulator) -> None:
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


def test_faults_can_be_there_from_the_start() -> None:
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


def test_every_start_makes_new_transactions_unless_seeded() -> None:
    unseeded = SMALL.model_copy(update={"simulator_seed": None})
    truths = [
        set(Simulator(settings, clock=lambda: 1.8e9).network.truth.report()["mined"])
        for settings in (unseeded, unseeded, SMALL, SMALL)
    ]
    assert not truths[0] & truths[1]
    assert truths[2] == truths[3]


def test_the_script_starts_serves_and_ends_gracefully(tmp_path: Path) -> None:
    command = [sys.executable, "simulator.py", "--port", "0", "--seed", "5", "--fault", "html:1:1"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        running = subprocess.Popen(command, cwd=FOLDER, stderr=output, env=os.environ)
    try:
        said = wait_until_said(log, "started url=")
        url = said.split("url=")[1].split()[0]
        assert "text/html" in requests.get(f"{url}/latestblock", timeout=10).headers["Content-Type"]
        tip = requests.get(f"{url}/latestblock", timeout=10).json()["hash"]
        block = requests.get(f"{url}/rawblock/{tip}", timeout=10).json()
        assert block["n_tx"] == len(block["tx"]) == 3_001
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("option", "words"),
    [(["--fault", "gremlins"], "fault"), (["--replay", "no.jsonl"], "no.jsonl")],
)
def test_a_wrong_option_is_said_in_a_sentence(option: list[str], words: str) -> None:
    command = [sys.executable, "simulator.py", "--port", "0", *option]
    ended = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_page_about_it_names_every_fault_and_endpoint() -> None:
    page = (FOLDER.parents[1] / "docs" / "simulator.md").read_text()
    answer = Simulator(SMALL).respond("GET", "/simulator/none")
    listed = answer.body.decode().split("known are: ")[1].split('"')[0]
    endpoints = [name.strip(" ,") for part in listed.split(";") for name in part.split()[1:]]
    assert len(endpoints) > 8
    assert all(f"/simulator/{name}" in page for name in endpoints)
    assert all(f"`{name}`" in page for name in FAULTS)
