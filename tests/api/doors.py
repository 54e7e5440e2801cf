"""The real service as a process of its own, and a caller that never rests."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from local.ports import free_port
from tests.api.conftest import EXAMPLE
from tests.support.processes import answers, kill_group

from core.settings import ROOT

FOLDER = ROOT / "src" / "api"
ALONE = [sys.executable, "app.py"]


@dataclass
class Door:
    """One running service."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stopped(self) -> int:
        """Ask it to stop; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def metric(self, line: str) -> float:
        """The value of the metric whose line begins so."""
        text = requests.get(f"{self.url}/metrics", timeout=10).text
        return sum(float(e.rsplit(" ", 1)[1]) for e in text.splitlines() if e.startswith(line))


@contextmanager
def door(
    folder: Path, environment: dict[str, str], command: list[str] | None = None
) -> Iterator[Door]:
    """Run the service from its own folder until it answers; nothing of it outlives the block."""
    port = free_port()
    log = folder / "api.log"
    settings = {"API_PORT": str(port), "DATA_DIR": str(folder), "DATA_ORIGIN": "simulated"}
    alone = command or ALONE
    with log.open("wb") as output:
        running = subprocess.Popen(
            [part.format(port=port) for part in alone],
            cwd=FOLDER,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | settings | environment,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: running.poll() is None and answers(f"{url}/health"), log)
        yield Door(url, running, log)
    finally:
        kill_group(running.pid)
        running.wait(10)


def until(happened: Callable[[], bool], log: Path, seconds: float = 120) -> None:
    """Wait for something, within bounds; fails with the end of the service's log."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened:\n{log.read_text()[-3000:]}")
        time.sleep(0.05)


@dataclass
class Caller:
    """Sends one prediction after another on a thread; keeps what was answered."""

    url: str
    statuses: dict[int | str, int] = field(default_factory=dict)
    versions: list[str] = field(default_factory=list)
    resting: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Caller":
        self.resting.clear()
        self._thread = threading.Thread(target=self._call)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.resting.set()
        self._thread.join()

    def _call(self) -> None:
        with requests.Session() as session:
            while not self.resting.wait(0.005):
                self._note(session)

    def _note(self, session: requests.Session) -> None:
        try:
            answer = session.post(f"{self.url}/predict", json=EXAMPLE, timeout=10)
        except requests.RequestException as error:
            self.statuses[repr(error)] = 1
            return
        self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        if answer.ok:
            version: str = answer.json()["model_version"]
            if self.versions[-1:] != [version]:
                self.versions.append(version)


def posted(url: str, body: dict[str, Any]) -> requests.Response:
    """One prediction."""
    return requests.post(
        f"{url}/predict",
        data=json.dumps(body),
        headers={"content-type": "application/json"},
        timeout=10,
    )
