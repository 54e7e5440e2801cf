"""Models in MLflow: one registered model, whose alias `champion` is in service.

The registered model carries the origin of its data as a tag, so that a champion made from simulated
transactions never judges real ones. `core/model_files.py` says what a version holds.
"""

import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Without these a client waits for minutes on a server that is down; MLflow reads them when it asks.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
# A service's log is no place for progress bars and greetings.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import mlflow.artifacts
import requests
from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException

from core.model_files import ModelRefusedError, read_model
from core.scorer import Champion

MODEL_NAME = "BitcoinAnomalyDetection"
ALIAS = "champion"
ORIGIN_TAG = "origin"

log = logging.getLogger(__name__)
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # else a line for each retry


class RegistryUnavailableError(RuntimeError):
    """MLflow does not answer, or not as expected; the message says which server and how."""


@contextmanager
def answering(tracking_uri: str) -> Iterator[None]:
    """Turn every way in which MLflow can fail into `RegistryUnavailableError`."""
    try:
        yield
    except (MlflowException, requests.RequestException) as error:
        reason = (str(error) or repr(error)).splitlines()[0][:200]
        says = "does not answer" if "Max retries" in reason else f"fails: {reason}"
        raise RegistryUnavailableError(f"MLflow at {tracking_uri} {says}") from error


def registered_model(tracking_uri: str, origin: str | None = None) -> RegisteredModel | None:
    """Ask for the registered model, its tags and its aliases; None where there is none yet.

    Raises `ModelRefusedError` when it was made from data of another origin than the given one, and
    `RegistryUnavailableError` while MLflow does not answer.
    """
    with answering(tracking_uri):
        try:
            model = MlflowClient(tracking_uri).get_registered_model(MODEL_NAME)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
    found = model.tags.get(ORIGIN_TAG)
    if origin is not None and found != origin:
        raise ModelRefusedError(
            f"the models in MLflow at {tracking_uri} were made from {found} data, this service is "
            f"set to {origin}: set DATA_ORIGIN={found} or another MLFLOW_TRACKING_URI"
        )
    return model


def champion_version(tracking_uri: str, origin: str | None = None) -> str | None:
    """The version that bears the alias, or None while none does; raises as `registered_model`."""
    model = registered_model(tracking_uri, origin)
    version = model.aliases.get(ALIAS) if model else None
    return None if version is None else str(version)


def download(tracking_uri: str, version: str, folder: Path) -> Path:
    """Fetch a version's files into a folder; raises `RegistryUnavailableError`."""
    # MLflow resolves `models:/` by its process-wide setting, whatever a call is given
    mlflow.set_tracking_uri(tracking_uri)
    with answering(tracking_uri):
        path = mlflow.artifacts.download_artifacts(
            artifact_uri=f"models:/{MODEL_NAME}/{version}", dst_path=str(folder)
        )
    return Path(path)


def load_champion(tracking_uri: str, version: str) -> Champion:
    """Load a version, whether or not it bears the alias.

    Raises `ModelRefusedError` when a file of it is missing, damaged or holds what it should not,
    and `RegistryUnavailableError` while MLflow does not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        return read_model(download(tracking_uri, version, Path(folder)), version)


def promote(tracking_uri: str, version: str) -> None:
    """Give the alias to a version, new or old; raises `RegistryUnavailableError`."""
    with answering(tracking_uri):
        MlflowClient(tracking_uri).set_registered_model_alias(MODEL_NAME, ALIAS, version)


class ChampionFollower:
    """Keeps the champion at hand and follows its alias; a model that loaded once stays in service.

    `origin` is `live` or `simulated`; with `start` a thread asks every `poll_seconds`.
    """

    def __init__(self, tracking_uri: str, origin: str, poll_seconds: float) -> None:
        self.current: Champion | None = None
        self.problem: str | None = "the model has not been asked for yet"
        self._tracking_uri, self._origin, self._poll_seconds = tracking_uri, origin, poll_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="champion", daemon=True)

    def refresh(self) -> bool:
        """Load the champion if it is another one now; True when `current` has changed.

        Never raises: what stands in the way is told by `problem`, and logged once.
        """
        try:
            version = champion_version(self._tracking_uri, self._origin)
            if version is None:
                return self._tell("no model is in service yet: the trainer has promoted none")
            if self.current is not None and self.current.version == version:
                return self._tell(None)
            self.current = load_champion(self._tracking_uri, version)
        except (RegistryUnavailableError, ModelRefusedError) as error:
            return self._tell(str(error))
        log.info("champion loaded version=%s", version)
        self.problem = None
        return True

    def _tell(self, problem: str | None) -> bool:
        if problem and problem != self.problem:
            in_service = self.current.version if self.current else None
            log.warning("champion not refreshed in_service=%s reason=%s", in_service, problem)
        self.problem = problem
        return False

    def _follow(self) -> None:
        while not self._stopped.is_set():
            self.refresh()
            self._stopped.wait(self._poll_seconds)

    def start(self) -> None:
        """Follow on a thread of its own, beginning at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the load it may be in."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
