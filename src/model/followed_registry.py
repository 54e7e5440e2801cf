"""What the trainer asks of MLflow between trainings: the champion, and the attempts before.

It goes by the REST API, so that the service does without MLflow's client and scikit-learn. A
training, in a process of its own, has both (`model/mlflow_runs.py`).
"""

import logging
from collections.abc import Mapping
from typing import Any, Literal

from core.detector.champion import Champion
from core.registry.follower import (
    Reader,
    champion_version,
    identity,
    load_champion,
    run_of_version,
)
from core.registry.reader_process import read_in_process
from core.registry.rest import get, post, registry_errors
from core.registry.version_files import ModelRefusedError
from model.schedule import Attempt

Origin = Literal["live", "simulated"]

EXPERIMENT = "bitcoin-anomaly-detection"
ATTEMPTS = 30
"""Newest runs from which the schedule is decided: more than it allows in a day."""

log = logging.getLogger(__name__)


class FollowedRegistry:
    """The registered model of one origin in one MLflow server; `read` reads a version's files."""

    def __init__(self, tracking_uri: str, origin: Origin, read: Reader = read_in_process) -> None:
        self.tracking_uri, self.origin, self._read = tracking_uri, origin, read
        self._loaded: Champion | None = None
        self._identity = ""  # of the version that was loaded or refused last

    def champion_version(self) -> str | None:
        """The version that has the alias `champion`, or None; raises as `registered_model`."""
        return champion_version(self.tracking_uri, self.origin)

    def champion(self) -> Champion | None:
        """The champion; None while there is none, or if its files are refused.

        It is loaded again when the alias has moved, or when another registry counts from 1 again.
        Raises as `registered_model`.
        """
        version = self.champion_version()
        newest = identity(self.tracking_uri, version) if version else ""
        if version is None:
            self._loaded = None
        elif newest != self._identity:
            self._loaded = self._load(version)
        self._identity = newest
        return self._loaded

    def _load(self, version: str) -> Champion | None:
        try:
            return load_champion(self.tracking_uri, version, self._read)
        except ModelRefusedError as error:
            log.error("event=champion_refused version=%s reason=%s", version, error)
            return None

    def attempts(self) -> list[Attempt]:
        """The trainings and recalibrations that MLflow has a run of, the newest first."""
        query = {"experiment_name": EXPERIMENT}
        found = get(self.tracking_uri, "/experiments/get-by-name", query)
        if found is None:
            return []
        with registry_errors(self.tracking_uri):
            search = {
                "experiment_ids": [found["experiment"]["experiment_id"]],
                "filter": f"tags.origin = '{self.origin}'",
                "run_view_type": "ALL",
                "max_results": ATTEMPTS,
                "order_by": ["attributes.start_time DESC"],
            }
            runs = post(self.tracking_uri, "/runs/search", search).get("runs", ())
            return [_attempt(run) for run in runs]

    def log_with_run_of(self, version: str, values: Mapping[str, float], at: float) -> None:
        """Log numbers with the run that a version came from, at a Unix time in seconds."""
        run = run_of_version(self.tracking_uri, version)
        metrics = [
            {"key": name, "value": value, "timestamp": int(at * 1000), "step": 0}
            for name, value in values.items()
        ]
        post(self.tracking_uri, "/runs/log-batch", {"run_id": run, "metrics": metrics})


def _attempt(run: Mapping[str, Any]) -> Attempt:
    """An attempt from a run in the form of the REST API."""
    tags, params = (
        {each["key"]: each["value"] for each in run["data"].get(kind, ())}
        for kind in ("tags", "params")
    )
    rows = tags.get("table_rows") or params.get("table_rows", "0")
    return Attempt(int(run["info"]["start_time"]) / 1000, int(rows), tags.get("cause", ""))
