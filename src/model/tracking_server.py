"""The MLflow server: runs and models in SQLite or PostgreSQL, their files on a disk or a store.

    python -m model.tracking_server [ADDRESS]

Listens on ADDRESS (127.0.0.1), with one worker and metrics for Prometheus. Its database is first
brought to the installed MLflow's schema. Passwords and keys are given to the server by its
environment, which, unlike its command, only its own user can read.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from core.logs import configure
from core.object_store import CredentialsError, credentials
from core.registry import tracking_database
from core.settings import DataSettings, MlflowSettings, StoreSettings
from core.unfinished_restore import unfinished_restore

ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
"""Without a job queue, which would start more processes, and without usage telemetry."""

_OUR_HOSTS = ("localhost", "127.0.0.1", "mlflow")
"""The names by which the services call MLflow, without Docker and with it: always allowed."""


def allowed_hosts(further: str) -> list[str]:
    """The patterns of the Host header that MLflow accepts: ours and `further` ones, by commas.

    A name without a port is allowed with any port.

    >>> allowed_hosts("my.host, other:8443")[-3:]
    ['my.host', 'my.host:*', 'other:8443']
    """
    names = [*_OUR_HOSTS, *(name.strip() for name in further.split(","))]
    patterns = (
        [name] if ":" in name or name == "*" else [name, f"{name}:*"] for name in names if name
    )
    return list(dict.fromkeys(pattern for some in patterns for pattern in some))


def allowed_origins(further: str) -> list[str]:
    """The origins of pages that may change something in MLflow: its own page on those hosts.

    "*" opens no origin: any page in any browser could then change the models.

    >>> allowed_origins("my.host:8443")
    ['http://my.host:8443', 'https://my.host:8443']
    """
    hosts = [host for host in allowed_hosts(further)[2 * len(_OUR_HOSTS) :] if host != "*"]
    return [f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")]


@dataclass(frozen=True)
class Tracking:
    """An MLflow server: its folder, its port on `address`, and further host names it answers to."""

    folder: Path
    port: int
    further_hosts: str = ""
    address: str = "127.0.0.1"
    database_url: str | None = None
    artifacts_uri: str | None = None

    @property
    def database(self) -> Path:
        """The SQLite file of runs and registered models."""
        return self.folder / "mlflow.db"

    def command(self) -> list[str]:
        """The command that runs the server in the foreground; creates its folders."""
        metrics, artifacts = self.folder / "metrics", self.folder / "artifacts"
        shutil.rmtree(metrics, ignore_errors=True)  # each process leaves files there
        metrics.mkdir(parents=True)
        origins = ",".join(allowed_origins(self.further_hosts))
        return [
            *(sys.executable, "-m", "mlflow", "server"),
            *("--host", self.address, "--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", self.database_url or f"sqlite:///{self.database}"),
            *("--artifacts-destination", self.artifacts_uri or str(artifacts)),
            *("--allowed-hosts", ",".join(allowed_hosts(self.further_hosts))),
            *(("--cors-allowed-origins", origins) if origins else ()),
            *("--expose-prometheus", str(metrics)),
        ]


def secrets(mlflow: MlflowSettings, store: StoreSettings) -> dict[str, str]:
    """The variables by which the database's and the store's clients are given what they need.

    Raises `OSError` when the file of the password cannot be read.
    """
    found = {"AWS_DEFAULT_REGION": store.s3_region}
    if (password := mlflow.mlflow_database_password_file) is not None:
        found["PGPASSWORD"] = password.read_text().strip()
    if store.s3_endpoint_url is not None:
        found["MLFLOW_S3_ENDPOINT_URL"] = store.s3_endpoint_url
    if credentials(store) is not None:
        found["AWS_SHARED_CREDENTIALS_FILE"] = str(store.s3_credentials_file)
    return found


def main() -> None:
    """Bring the database up to date, then replace this process by the server of the settings."""
    configure("mlflow")
    settings = MlflowSettings()
    tracking = Tracking(
        DataSettings().data_dir.resolve() / "mlflow",
        settings.mlflow_port,
        settings.mlflow_allowed_hosts,
        sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1",
        settings.mlflow_database_url,
        settings.mlflow_artifacts_uri,
    )
    if (reason := unfinished_restore(tracking.folder)) is not None:
        sys.exit(reason)
    command = tracking.command()
    try:
        environment = ENVIRONMENT | secrets(settings, StoreSettings())
        if tracking.database_url is None:
            tracking_database.upgrade(tracking.database)
        else:  # its library takes a quarter of a second to import
            from model import tracking_postgresql

            tracking_postgresql.upgrade(tracking.database_url, environment)
    except (tracking_database.DatabaseUnusableError, CredentialsError, OSError) as error:
        sys.exit(str(error))
    os.execve(command[0], command, os.environ | environment)


if __name__ == "__main__":
    main()
