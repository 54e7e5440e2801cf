"""The whole stack as a person starts it: simulator, Kafka, Spark, Delta, MLflow, API, dashboard."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from local.ports import ports
from playwright.sync_api import sync_playwright

from core.lake import open_table, query
from core.settings import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.timeout(480)]

T = TypeVar("T")
READY_SECONDS = 180
SCORED_SECONDS = 240
TRANSACTION = {
    "hash": "a1b2c3",
    "size": 250,
    "weight": 1000,
    "fee": 5000,
    "inputs_count": 2,
    "outputs_count": 2,
    "input_value": 1_000_000,
    "output_value": 995_000,
}


class Demo:
    """A running `make demo` on ports and a data folder of its own."""

    def __init__(self, data: Path) -> None:
        self.data, self.ports = data, free_ports(list(ports()))
        self.lake = str(data / "demo" / "lake")
        self.log = data / "terminal.log"
        self._process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {name: str(port) for name, port in self.ports.items()}
        environment |= {"DATA_DIR": str(self.data), "SIMULATOR_RATE": "20"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.stack", "demo"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self._process

    def url(self, setting: str) -> str:
        return f"http://localhost:{self.ports[setting]}"

    def wait_for(self, what: str, found: Callable[[], T | None], seconds: float) -> T:
        deadline = time.monotonic() + seconds
        while (value := found()) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"no {what}:\n{self.log.read_text()}\n{self.last_words()}")
            time.sleep(0.5)
        return value

    def last_words(self) -> str:
        logs = sorted((self.data / "demo" / "logs").glob("*.log"))
        return "\n".join(f"{p.name}: {p.read_text()[-700:]}" for p in logs)

    def rows(self, table: str, columns: str) -> list[dict[str, Any]] | None:
        opened = open_table(self.lake, table, "simulated")
        if opened is None:
            return None
        found: list[dict[str, Any]] = query(f"select {columns} from t", t=opened).to_pylist()
        return found or None

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(90)


def free_ports(names: list[str]) -> dict[str, int]:
    """Ports that are free together: all are held until each has its own."""
    holders = [socket.socket() for _ in names]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    found = {n: int(h.getsockname()[1]) for n, h in zip(names, holders, strict=True)}
    for holder in holders:
        holder.close()
    return found


def ask(url: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    """The JSON answer, or None while there is none."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except OSError:
        return None


@pytest.fixture(scope="module")
def demo(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("stack"))
    try:
        yield running
    finally:
        assert running.stop() == 0, running.log.read_text()
        assert not left_behind(running.data)


def left_behind(data: Path) -> list[str]:
    mark = str(data)
    return [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cmdline", "environ"])
        if process.pid != os.getpid()
        and (
            mark in " ".join(process.info["cmdline"] or [])
            or mark in (process.info["environ"] or {}).get("DATA_DIR", "")
        )
    ]


def test_every_service_comes_up_and_the_urls_are_printed(demo: Demo) -> None:
    demo.wait_for(
        "table of URLs",
        lambda: True if "Ctrl-C stops everything" in demo.log.read_text() else None,
        READY_SECONDS,
    )
    printed = demo.log.read_text()
    for setting in ("DASHBOARD_PORT", "API_PORT", "MLFLOW_PORT", "SPARK_UI_PORT"):
        assert demo.url(setting) in printed


def test_transactions_are_scored_once_each(demo: Demo) -> None:
    demo.wait_for("scored row", lambda: demo.rows("scored_transactions", "hash"), SCORED_SECONDS)
    raw = Counter(row["hash"] for row in demo.rows("raw_transactions", "hash") or [])
    scored = Counter(row["hash"] for row in demo.rows("scored_transactions", "hash") or [])
    assert max(raw.values()) == max(scored.values()) == 1
    assert len(raw) > 2_000


def test_the_api_answers_with_the_champion_that_mlflow_names(demo: Demo) -> None:
    verdict = demo.wait_for(
        "verdict", lambda: ask(f"{demo.url('API_PORT')}/predict", TRANSACTION), 60
    )
    assert 0 < verdict["anomaly_score"] < 1
    model = ask(
        f"{demo.url('MLFLOW_PORT')}/api/2.0/mlflow/registered-models/alias"
        "?name=BitcoinAnomalyDetection&alias=champion"
    )
    assert verdict["model_version"] == model["model_version"]["version"]


def test_an_injected_anomaly_is_flagged_and_the_api_agrees_to_the_bit(demo: Demo) -> None:
    injected = ask(
        f"{demo.url('SIMULATOR_PORT')}/simulator/inject?kind=fat_finger_fee", method="POST"
    )

    def scored() -> dict[str, Any] | None:
        rows = demo.rows("scored_transactions", "*") or []
        return next((row for row in rows if row["hash"] == injected["hash"]), None)

    row = demo.wait_for("score of the injected anomaly", scored, 90)
    assert row["is_anomaly"]
    assert row["reasons"]
    answer = ask(f"{demo.url('API_PORT')}/predict", {name: row[name] for name in TRANSACTION})
    assert answer["model_version"] == row["model_version"]
    assert answer["anomaly_score"] == row["anomaly_score"]


def test_prometheus_names_are_answered_by_every_service(demo: Demo) -> None:
    for setting in ("PRODUCER_METRICS_PORT", "STREAM_METRICS_PORT", "TRAINER_METRICS_PORT"):
        with urllib.request.urlopen(f"{demo.url(setting)}/metrics", timeout=10) as answer:
            assert b"bitcoin_build_info" in answer.read()


@pytest.mark.browser
def test_the_dashboard_shows_scored_transactions_and_the_anomaly(demo: Demo) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(demo.url("DASHBOARD_PORT"))
        page.wait_for_selector(".ag-row", timeout=60_000)
        page.wait_for_selector("text=fee overpaid", timeout=60_000)
        assert "Simulated" in page.inner_text("body")
        browser.close()


def test_a_second_run_continues_on_the_same_data(demo: Demo) -> None:
    before = len(demo.rows("raw_transactions", "hash") or [])
    assert demo.stop() == 0
    demo.start()

    def grown() -> int | None:
        count = len(demo.rows("scored_transactions", "hash") or [])
        return count if count > before else None

    demo.wait_for("growth after the restart", grown, READY_SECONDS)
    hashes = Counter(row["hash"] for row in demo.rows("raw_transactions", "hash") or [])
    assert max(hashes.values()) == 1
