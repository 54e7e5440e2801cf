"""How the trainer uses MLflow's own client: without long waits, and with one error for all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

# Without these a client waits for minutes on a server that is down; MLflow reads them when it asks.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
# A service's log is no place for progress bars and greetings.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import requests
from mlflow.exceptions import MlflowException

from core.registry.rest import RegistryUnavailableError


@contextmanager
def answering(tracking_uri: str) -> Iterator[None]:
    """Turn every way in which MLflow can fail into `RegistryUnavailableError`."""
    try:
        yield
    except (MlflowException, requests.RequestException) as error:
        reason = (str(error) or repr(error)).splitlines()[0][:200]
        says = "does not answer" if "Max retries" in reason else f"fails: {reason}"
        raise RegistryUnavailableError(f"MLflow at {tracking_uri} {says}") from error
