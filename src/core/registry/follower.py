"""The registered model in MLflow, and following its alias `champion`: the version that scores.

A tag of the registered model has the origin of its data, so that a model of simulated transactions
never scores real ones. `core/registry/version_files.py` describes the files of a version.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.background import BackgroundLoop
from core.detector.calibration import Calibration
from core.detector.champion import Champion
from core.registry.reader_process import read_in_process
from core.registry.rest import RegistryUnavailableError, download_file, get, post, registry_errors
from core.registry.version_files import (
    CALIBRATION_FILE,
    EXTRA_FOLDER,
    FILES,
    ModelRefusedError,
    read_model,
)

MODEL_NAME = "BitcoinAnomalyDetection"
ALIAS = "champion"
ORIGIN_TAG = "origin"

REFUSED_SECONDS = 60
"""The time after which a refused version is read again: its files may have been repaired."""

Reader = Callable[[Path, str], Champion]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegisteredModel:
    """MLflow's data about the model as a whole: its tags, and the version of each alias."""

    tags: Mapping[str, str]
    aliases: Mapping[str, str]


def registered_model(tracking_uri: str, origin: str | None = None) -> RegisteredModel | None:
    """The registered model; None where there is none yet.

    Raises `ModelRefusedError` when its data have another origin than the given one, and
    `RegistryUnavailableError` while MLflow does not answer.
    """
    answer = get(tracking_uri, "/registered-models/get", {"name": MODEL_NAME})
    if answer is None:
        return None
    with registry_errors(tracking_uri):
        fields = answer["registered_model"]
        model = RegisteredModel(
            tags={tag["key"]: tag["value"] for tag in fields.get("tags", ())},
            aliases={each["alias"]: str(each["version"]) for each in fields.get("aliases", ())},
        )
    its_origin = model.tags.get(ORIGIN_TAG)
    if origin is not None and its_origin != origin:
        raise ModelRefusedError(
            f"the models in MLflow at {tracking_uri} were made from {its_origin} data, this service"
            f" is set to {origin}: set DATA_ORIGIN={its_origin} or another MLFLOW_TRACKING_URI"
        )
    return model


def champion_version(tracking_uri: str, origin: str | None = None) -> str | None:
    """The version that has the alias, or None while none has; raises as `registered_model`."""
    model = registered_model(tracking_uri, origin)
    return model.aliases.get(ALIAS) if model else None


def identity(tracking_uri: str, version: str) -> str:
    """A text that differs between any two versions, also if a new registry counts from 1 again.

    Raises `RegistryUnavailableError`, also for a version that does not exist.
    """
    fields = _version(tracking_uri, version)
    with registry_errors(tracking_uri):
        return f"{version} {fields['creation_timestamp']} {fields['source']}"


def run_of_version(tracking_uri: str, version: str) -> str:
    """The ID of the run that a version came from; raises as `identity`."""
    fields = _version(tracking_uri, version)
    with registry_errors(tracking_uri):
        return str(fields["run_id"])


def _version(tracking_uri: str, version: str) -> Any:
    """MLflow's data about a version."""
    query = {"name": MODEL_NAME, "version": version}
    answer = get(tracking_uri, "/model-versions/get", query)
    if answer is None:
        raise RegistryUnavailableError(f"MLflow at {tracking_uri} has no version {version}")
    with registry_errors(tracking_uri):
        return answer["model_version"]


def download(tracking_uri: str, version: str, folder: Path) -> Path:
    """Copy a version's files, those that exist, into a folder; returns the folder.

    Raises `RegistryUnavailableError`.
    """
    for file in FILES:
        download_file(tracking_uri, MODEL_NAME, version, file, folder)
    return folder


def load_champion(tracking_uri: str, version: str, read: Reader = read_model) -> Champion:
    """Load a version, whether or not it has the alias.

    Raises `ModelRefusedError` when one of its files is missing, damaged or not acceptable, and
    `RegistryUnavailableError` while MLflow does not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        return read(download(tracking_uri, version, Path(folder)), version)


def champions_calibration(tracking_uri: str, origin: str) -> tuple[str, Calibration] | None:
    """The champion's version and its calibration, without its trees; None where there is none.

    Raises `ModelRefusedError` where it cannot be read, and as `registered_model`.
    """
    version = champion_version(tracking_uri, origin)
    if version is None:
        return None
    file = f"{EXTRA_FOLDER}/{CALIBRATION_FILE}"
    with tempfile.TemporaryDirectory() as folder:
        download_file(tracking_uri, MODEL_NAME, version, file, Path(folder))
        try:
            return version, Calibration.from_json((Path(folder) / file).read_text())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelRefusedError(f"version {version} cannot be read: {error!r}") from error


def promote(tracking_uri: str, version: str) -> None:
    """Give the alias to a version, new or old; raises `RegistryUnavailableError`."""
    content = {"name": MODEL_NAME, "alias": ALIAS, "version": version}
    post(tracking_uri, "/registered-models/alias", content)


class ChampionFollower:
    """Holds the champion and loads the next one when the alias moves.

    A loaded champion stays in `current` until another has loaded; where the newest one is not
    loaded, `problem` says why in a sentence. `origin` is `live` or `simulated`. After `start` a
    thread checks every `poll_seconds`; `loop` says whether it still does. `read` makes a champion
    from a folder of a version's files, and `clock` returns seconds.
    """

    def __init__(
        self,
        tracking_uri: str,
        origin: str,
        poll_seconds: float,
        read: Reader = read_in_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.current: Champion | None = None
        self.problem: str | None = "the model has not been asked for yet"
        self._tracking_uri, self._origin = tracking_uri, origin
        self._read, self._clock = read, clock
        self._loaded = ""  # the identity of `current`
        self._refused, self._refusal, self._refused_until = "", "", 0.0
        self.loop = BackgroundLoop("champion", self.refresh, poll_seconds)

    def refresh(self) -> bool:
        """Load the champion if the alias has moved; True when `current` has changed.

        A failure of MLflow or of a model is set as `problem`, and logged once. Any other is set
        too and raised, such as an `OSError` of a full disk.
        """
        try:
            version = champion_version(self._tracking_uri, self._origin)
            if version is None:
                return self._unchanged("no model is in service yet: the trainer has promoted none")
            newest = identity(self._tracking_uri, version)
            if newest == self._loaded:
                return self._unchanged(None)
            if newest == self._refused and self._clock() < self._refused_until:
                return self._unchanged(self._refusal)
            self._load(version, newest)
        except (RegistryUnavailableError, ModelRefusedError) as error:
            return self._unchanged(str(error))
        except Exception as error:
            self.problem = f"the champion could not be loaded: {type(error).__name__}: {error}"
            raise
        log.info("event=champion_loaded version=%s", version)
        self.problem = None
        return True

    def _load(self, version: str, newest: str) -> None:
        try:
            self.current = load_champion(self._tracking_uri, version, self._read)
        except ModelRefusedError as error:
            self._refused, self._refusal = newest, str(error)
            self._refused_until = self._clock() + REFUSED_SECONDS
            raise
        self._loaded = newest

    def _unchanged(self, problem: str | None) -> bool:
        """Set the problem, log it where it is new, and return False for `refresh`."""
        if problem and problem != self.problem:
            current = self.current.version if self.current else None
            log.warning("event=champion_not_refreshed current=%s reason=%s", current, problem)
        self.problem = problem
        return False

    def start(self) -> None:
        """Start the thread; its first check is at once."""
        self.loop.start()

    def stop(self) -> None:
        """End the thread; a load in progress is finished first."""
        self.loop.stop()
