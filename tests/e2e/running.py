"""A whole stack that tests start, ask and stop."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from local.ports import free_ports, ports

from core.lake import open_table, query
from core.settings import ROOT

T = TypeVar("T")
READY_SECONDS = 180
SCORED_SECONDS = 400
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
        self.data, self.ports = data, dict(zip(ports(), free_ports(len(ports())), strict=True))
        self.lake = str(data / "demo" / "lake")
        self.log = data / "terminal.log"
        self._process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {name: str(port) for name, port in self.ports.items()}
        environment |= {"DATA_DIR": str(self.data), "SIMULATOR_RATE": "20"}
        environment["DRIFT_CHECK_SECONDS"] = "15"  # every five minutes is too rare for a test
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


def ask(url: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    """The JSON answer, or None while there is none."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except OSError:
        return None


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
