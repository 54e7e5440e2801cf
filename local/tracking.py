"""The MLflow server: runs in SQLite, models in files, one worker, metrics for Prometheus.

python -m local.tracking
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from core.settings import DataSettings, MlflowSettings

ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
"""Without a job queue, which would start more processes, and without usage telemetry."""


@dataclass(frozen=True)
class Tracking:
    """An MLflow server: its folder, its port on 127.0.0.1, and the host names it answers to."""

    folder: Path
    port: int
    allowed_hosts: str

    def command(self) -> list[str]:
        """The command that runs the server in the foreground; creates its folders."""
        metrics, artifacts = self.folder / "metrics", self.folder / "artifacts"
        metrics.mkdir(parents=True, exist_ok=True)
        return [
            *(sys.executable, "-m", "mlflow", "server"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"),
            *("--artifacts-destination", str(artifacts)),
            *("--allowed-hosts", self.allowed_hosts, "--expose-prometheus", str(metrics)),
        ]


def main() -> None:
    """Replace this process by the server of the settings."""
    folder = DataSettings().data_dir.resolve() / "mlflow"
    settings = MlflowSettings()
    command = Tracking(folder, settings.mlflow_port, settings.mlflow_allowed_hosts).command()
    os.execve(command[0], command, os.environ | ENVIRONMENT)


if __name__ == "__main__":
    main()
