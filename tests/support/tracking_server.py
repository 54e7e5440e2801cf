"""An MLflow server that a test may stop and start again on the same data."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
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
        self.running: subprocess.Popen[bytes] | None = None
        self.uri = f"http://localhost:{self._tracking.port}"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.running = subprocess.Popen(
                self._tracking.command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | ENVIRONMENT,
                start_new_session=True,
            )
        wait_until(lambda: answers(f"{self.uri}/health"), self.running, self._log, 300)

    def stop(self) -> None:
        """Stop as in a power cut: no process can shut down."""
        if self.running is not None:
            kill_group(self.running.pid)
            self.running.wait(20)
            self.running = None


@contextmanager
def tracking_server(folder: Path) -> Iterator[TrackingServer]:
    """A server over a folder that runs until the end of the block, unless it was stopped before."""
    server = TrackingServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
