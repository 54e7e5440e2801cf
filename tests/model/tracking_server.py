"""An MLflow server of a test's own, which it may stop and start again on the same data."""

import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from local.ports import free_port
from local.tracking import ENVIRONMENT, Tracking

from core.settings import MlflowSettings


class Server:
    """A real server over one folder; its address stays the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tracking = Tracking(folder, free_port(), MlflowSettings().mlflow_allowed_hosts)
        self.uri = f"http://localhost:{self._tracking.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._tracking.command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | ENVIRONMENT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 300
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)

    def stop(self) -> None:
        """As a power cut would: nothing is said farewell to."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(20)
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
