"""The real service as a process, and a caller that sends requests without a pause."""

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
import uvicorn
from local.ports import free_port
from starlette.types import ASGIApp
from tests.support.processes import answers, kill_group

from api.connection import BoundedConnection
from api.schemas import EXAMPLE
from core.settings import ROOT

FOLDER = ROOT / "src" / "api"
COMMAND = [sys.executable, "app.py"]


@dataclass
class ApiProcess:
    """One running service."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        """Ask it to stop; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def metric(self, line: str) -> float:
        """Sum the samples whose line begins so."""
        text = requests.get(f"{self.url}/metrics", timeout=10).text
        return sum(float(e.rsplit(" ", 1)[1]) for e in text.splitlines() if e.startswith(line))

    def predict(self, body: dict[str, Any] = EXAMPLE) -> requests.Response:
        headers = {"content-type": "application/json"}
        content = json.dumps(body)
        return requests.post(f"{self.url}/predict", data=content, headers=headers, timeout=10)


@contextmanager
def api_process(
    folder: Path, environment: dict[str, str], command: list[str] | None = None
) -> Iterator[ApiProcess]:
    """Run the service from its folder until it answers; none of its processes outlives the block.

    `{port}` in the command stands for the port.
    """
    port = free_port()
    log = folder / "api.log"
    settings = {"API_PORT": str(port), "DATA_DIR": str(folder), "DATA_ORIGIN": "simulated"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.format(port=port) for part in command or COMMAND],
            cwd=FOLDER,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | settings | environment,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: process.poll() is None and answers(f"{url}/health"), log)
        yield ApiProcess(url, process, log)
    finally:
        kill_group(process.pid)
        process.wait(10)


def wait_for(condition: Callable[[], bool], log: Path, seconds: float = 120) -> None:
    """Wait for a condition; after so many seconds fail with the end of the service's log."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened:\n{log.read_text()[-3000:]}")
        time.sleep(0.05)


@contextmanager
def served(app: ASGIApp, log: Path) -> Iterator[str]:
    """Serve an application on a thread; its URL."""
    port = free_port()
    log.touch()
    config = uvicorn.Config(
        app, port=port, http=BoundedConnection, log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


@dataclass
class Caller:
    """Sends one prediction after another on a thread; keeps the statuses and model versions."""

    api: ApiProcess
    statuses: dict[int | str, int] = field(default_factory=dict)
    versions: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Caller":
        self.stopped.clear()
        self._thread = threading.Thread(target=self._call)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._thread.join()

    def _call(self) -> None:
        with requests.Session() as session:
            while not self.stopped.wait(0.005):
                self._predict(session)

    def _predict(self, session: requests.Session) -> None:
        try:
            answer = session.post(f"{self.api.url}/predict", json=EXAMPLE, timeout=10)
        except requests.RequestException as error:
            self.statuses[repr(error)] = 1
            return
        self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        if answer.ok:
            version: str = answer.json()["model_version"]
            if self.versions[-1:] != [version]:
                self.versions.append(version)
