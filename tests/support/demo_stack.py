"""A whole local stack on simulated transactions: tests and benchmarks start, ask and stop it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psutil
from local.ports import free_ports, ports

from core.detector.rules import RULES_VERSION
from core.lake import open_table, query
from core.settings import ROOT

T = TypeVar("T")
READY_SECONDS = 300
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
    """A running `make demo` with its own data folder and its own ports."""

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None) -> None:
        self.data, self.ports = data, dict(zip(ports(), free_ports(len(ports())), strict=True))
        self.lake = str(data / "demo" / "lake")
        self.log = data / "terminal.log"
        self._environment = os.environ | {name: str(port) for name, port in self.ports.items()}
        self._environment |= {"DATA_DIR": str(data), **(settings or {})}
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the stack, for the first time or again."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local.stack", "demo"],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self.process

    def url(self, setting: str) -> str:
        """The address of a service, by the setting of its port."""
        return f"http://localhost:{self.ports[setting]}"

    def wait_for(self, what: str, look: Callable[[], T | None], seconds: float) -> T:
        """Wait until `look` returns a value. Raises `TimeoutError` with the ends of all logs."""
        deadline = time.monotonic() + seconds
        while (value := look()) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"no {what}:\n{self.log.read_text()}\n{self._last_lines()}")
            time.sleep(0.5)
        return value

    def _last_lines(self) -> str:
        logs = sorted((self.data / "demo" / "logs").glob("*.log"))
        return "\n".join(f"{p.name}: {p.read_text()[-700:]}" for p in logs)

    def urls(self) -> str | None:
        """What the stack has printed, or None before it printed the URLs."""
        printed = self.log.read_text()
        return printed if "Ctrl-C stops everything" in printed else None

    def wait_for_champion(self) -> None:
        """Wait until both API and stream score by a champion."""
        ready = f"{self.url('API_PORT')}/ready"
        self.wait_for("champion in the API", lambda: ask(ready), SCORED_SECONDS)
        self.wait_for("row that the model scored", self._scored_by_model, SCORED_SECONDS)

    def _scored_by_model(self) -> bool | None:
        versions = self.rows("scored_transactions", "distinct model_version") or []
        return any(row["model_version"] != RULES_VERSION for row in versions) or None

    def rows(self, table: str, columns: str) -> list[dict[str, Any]] | None:
        """The rows of a table, or None while it has none."""
        opened = open_table(self.lake, table, "simulated")
        if opened is None:
            return None
        rows: list[dict[str, Any]] = query(f"select {columns} from t", t=opened).to_pylist()
        return rows or None

    def stop(self) -> int:
        """Stop the stack as Ctrl-C does; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(90)


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
    """The command lines of processes that still work on a data folder."""
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
