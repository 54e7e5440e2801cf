"""An MLflow server that a test may stop and start again on the same data."""

import os
import subprocess
from pathlib import Path

from local.ports import free_port
from tests.support.processes import answers, kill_group, wait_until

from model.tracking_server import ENVIRONMENT, Tracking


class TrackingServer:
    """A real server over one folder; its address stays the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "server.log"
        self._tracking = Tracking(folder, free_port())
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"http://localhost:{self._tracking.port}"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._tracking.command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | ENVIRONMENT,
                start_new_session=True,
            )
        wait_until(lambda: answers(f"{self.uri}/health"), self._process, self._log, 300)

    def stop(self) -> None:
        """Stop as in a power cut: no process can shut down."""
        if self._process is not None:
            kill_group(self._process.pid)
            self._process.wait(20)
            self._process = None
