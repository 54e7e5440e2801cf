"""Models in MLflow: one registered model, whose alias `champion` is in service.

The registered model carries the origin of its data as a tag, so that a champion made from simulated
transactions never judges real ones. `core/registry/version_files.py` says what a version holds.
"""

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.detector.champion import Champion
from core.registry.reader_process import read_apart
from core.registry.rest import RegistryUnavailableError, answering, ask, fetch, tell
from core.registry.version_files import FILES, ModelRefusedError, read_model

__all__ = ["ChampionFollower", "RegistryUnavailableError", "champion_version", "load_champion"]

MODEL_NAME = "BitcoinAnomalyDetection"
ALIAS = "champion"
ORIGIN_TAG = "origin"

REFUSED_SECONDS = 60
"""A version that was refused is read again after so long: its files may have been mended."""

Reader = Callable[[Path, str], Champion]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegisteredModel:
    """What MLflow keeps beside the versions: tags, and the version that each alias stands for."""

    tags: Mapping[str, str]
    aliases: Mapping[str, str]


def registered_model(tracking_uri: str, origin: str | None = None) -> RegisteredModel | None:
    """Ask for the registered model, its tags and its aliases; None where there is none yet.

    Raises `ModelRefusedError` when it was made from data of another origin than the given one, and
    `RegistryUnavailableError` while MLflow does not answer.
    """
    found = ask(tracking_uri, "/registered-models/get", {"name": MODEL_NAME})
    if found is None:
        return None
    with answering(tracking_uri):
        kept = found["registered_model"]
        model = RegisteredModel(
            tags={tag["key"]: tag["value"] for tag in kept.get("tags", ())},
            aliases={each["alias"]: str(each["version"]) for each in kept.get("aliases", ())},
        )
    made_from = model.tags.get(ORIGIN_TAG)
    if origin is not None and made_from != origin:
        raise ModelRefusedError(
            f"the models in MLflow at {tracking_uri} were made from {made_from} data, this service "
            f"is set to {origin}: set DATA_ORIGIN={made_from} or another MLFLOW_TRACKING_URI"
        )
    return model


def champion_version(tracking_uri: str, origin: str | None = None) -> str | None:
    """The version that bears the alias, or None while none does; raises as `registered_model`."""
    model = registered_model(tracking_uri, origin)
    return model.aliases.get(ALIAS) if model else None


def identity(tracking_uri: str, version: str) -> str:
    """What no other version ever had, in this registry or one that was begun anew.

    Raises `RegistryUnavailableError`, for a version that does not exist too.
    """
    query = {"name": MODEL_NAME, "version": version}
    found = ask(tracking_uri, "/model-versions/get", query)
    if found is None:
        raise RegistryUnavailableError(f"MLflow at {tracking_uri} has no version {version}")
    with answering(tracking_uri):
        kept = found["model_version"]
        return f"{version} {kept['creation_timestamp']} {kept['source']}"


def download(tracking_uri: str, version: str, folder: Path) -> Path:
    """Fetch a version's files into a folder, those that it has; returns the folder.

    Raises `RegistryUnavailableError`.
    """
    for file in FILES:
        fetch(tracking_uri, MODEL_NAME, version, file, folder)
    return folder


def load_champion(tracking_uri: str, version: str, read: Reader = read_model) -> Champion:
    """Load a version, whether or not it bears the alias.

    Raises `ModelRefusedError` when a file of it is missing, damaged or holds what it should not,
    and `RegistryUnavailableError` while MLflow does not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        return read(download(tracking_uri, version, Path(folder)), version)


def promote(tracking_uri: str, version: str) -> None:
    """Give the alias to a version, new or old; raises `RegistryUnavailableError`."""
    content = {"name": MODEL_NAME, "alias": ALIAS, "version": version}
    tell(tracking_uri, "/registered-models/alias", content)


class ChampionFollower:
    """Keeps the champion at hand and follows its alias; a model that loaded once stays in service.

    `origin` is `live` or `simulated`; with `start` a thread asks every `poll_seconds`. `read` makes
    the champion of a folder with a version's files, `clock` tells seconds.
    """

    def __init__(
        self,
        tracking_uri: str,
        origin: str,
        poll_seconds: float,
        read: Reader = read_apart,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.current: Champion | None = None
        self.problem: str | None = "the model has not been asked for yet"
        self._tracking_uri, self._origin, self._poll_seconds = tracking_uri, origin, poll_seconds
        self._read, self._clock, self._known = read, clock, ""
        self._refused, self._until = ("", ""), 0.0
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
            found = identity(self._tracking_uri, version)
            if found == self._known:
                return self._tell(None)
            if found == self._refused[0] and self._clock() < self._until:
                return self._tell(self._refused[1])
            self._load(version, found)
        except (RegistryUnavailableError, ModelRefusedError) as error:
            return self._tell(str(error))
        log.info("champion loaded version=%s", version)
        self.problem = None
        return True

    def _load(self, version: str, found: str) -> None:
        try:
            self.current = load_champion(self._tracking_uri, version, self._read)
        except ModelRefusedError as error:
            self._refused, self._until = (found, str(error)), self._clock() + REFUSED_SECONDS
            raise
        self._known = found

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
