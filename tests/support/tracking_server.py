"""An MLflow server that a test may stop and start again on the same data."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.ports import free_port
from tests.support.processes import Part, answers, wait_until

from model.tracking_server import ENVIRONMENT, Tracking


class TrackingServer:
    """A real server over one folder; its address stays the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tracking = Tracking(folder, free_port())
        self.part = Part([], folder / "server.log", ENVIRONMENT)
        self.uri = f"http://localhost:{self._tracking.port}"

    def start(self) -> None:
        self.part.command = self._tracking.command()  # which makes the server's folders, too
        running = self.part.start()
        wait_until(lambda: answers(f"{self.uri}/health"), running, self.part.log, 300)

    def stop(self) -> None:
        """Stop as in a power cut: no process can shut down."""
        self.part.kill()


@contextmanager
def tracking_server(folder: Path) -> Iterator[TrackingServer]:
    """A server over a folder that runs until the end of the block, unless it was stopped before."""
    server = TrackingServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
