"""The simulator as a script, and the page about it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from core.settings import SimulatorSettings
from data_ingestion.simulation.faults import FAULTS
from data_ingestion.simulation.simulator_service import Simulator

FOLDER = Path(__file__).parents[2] / "src" / "data_ingestion"


def url_in(log: Path) -> str:
    """The URL that the simulator logs once it serves."""
    for _ in range(1_200):
        started = re.search(r"event=simulator_started url=(\S+) ", log.read_text())
        if started:
            return started.group(1)
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_the_script_starts_serves_and_ends_gracefully(tmp_path: Path) -> None:
    command = [sys.executable, "simulator.py", "--port", "0", "--seed", "5", "--fault", "html:1:1"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        running = subprocess.Popen(command, cwd=FOLDER, stderr=output, env=os.environ)
    try:
        url = url_in(log)
        assert "text/html" in requests.get(f"{url}/latestblock", timeout=10).headers["Content-Type"]
        tip = requests.get(f"{url}/latestblock", timeout=10).json()["hash"]
        block = requests.get(f"{url}/rawblock/{tip}", timeout=10).json()
        assert block["n_tx"] == len(block["tx"]) == 3_001
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    assert "event=simulator_stopped" in log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("option", "words"),
    [(["--fault", "gremlins"], "fault"), (["--replay", "no.jsonl"], "no.jsonl")],
)
def test_a_wrong_option_is_reported_in_a_sentence(option: list[str], words: str) -> None:
    command = [sys.executable, "simulator.py", "--port", "0", *option]
    ended = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_page_about_it_names_every_fault_and_endpoint() -> None:
    page = (FOLDER.parents[1] / "docs" / "simulator.md").read_text()
    answer = Simulator(SimulatorSettings(simulator_first_block=0)).respond("GET", "/simulator/none")
    listed = answer.body.decode().split("the endpoints are: ")[1].split('"')[0]
    endpoints = [name.strip(" ,") for part in listed.split(";") for name in part.split()[1:]]
    assert len(endpoints) > 8
    assert all(f"/simulator/{name}" in page for name in endpoints)
    assert all(f"`{name}`" in page for name in FAULTS)
