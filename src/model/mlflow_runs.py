"""What the trainer keeps in MLflow: a run for each training, and the versions of one model.

Only this module and `pruning.py` use MLflow's own client. A version is complete before it is
registered, and has no alias before it is promoted: nothing is half-promoted whenever MLflow stops.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mlflow.artifacts
import mlflow.sklearn
import numpy as np
import pandas as pd
import requests
from mlflow import MlflowClient
from mlflow.data.delta_dataset_source import DeltaDatasetSource
from mlflow.data.numpy_dataset import from_numpy
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.entities import Run as RunRecord
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from sklearn.pipeline import Pipeline

from core.detector.calibration import Calibration
from core.detector.champion import Champion
from core.features import Floats
from core.registry.follower import (
    MODEL_NAME,
    ORIGIN_TAG,
    download,
    identity,
    promote,
    registered_model,
)
from core.registry.rest import RegistryUnavailableError
from core.registry.version_files import (
    MODEL_FILE,
    TRUSTED_TYPES,
    read_model,
    read_pipeline,
    write_extras,
)
from core.transaction import DETECTOR_FIELDS, NUMERIC_FIELDS
from model.followed_registry import EXPERIMENT, FollowedRegistry, Origin
from model.pipeline import set_threshold
from model.sampling import Sample

SAMPLE_FILE = "sample.parquet"
PROOF_ROWS = 64
"""Rows that are saved with a version, with the scores that it must give when it is loaded."""

_LONGEST_TAG = 4_000
_SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec(DataType.long if name in NUMERIC_FIELDS else DataType.double, name)
            for name in DETECTOR_FIELDS
        ]
    ),
    outputs=Schema([ColSpec(DataType.long)]),
)
_REQUIREMENTS = ["bitcoin-anomaly-detection", "numpy", "scikit-learn", "skops", "numba"]

_CLIENT_SETTINGS = {
    # By default the client tries for minutes to reach a server that is down.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # Progress bars and links do not belong in a log.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # No usage telemetry leaves the machine.
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
for _name, _value in _CLIENT_SETTINGS.items():
    os.environ.setdefault(_name, _value)


@contextmanager
def mlflow_errors(tracking_uri: str) -> Iterator[None]:
    """Raise `RegistryUnavailableError` for every way in which MLflow's client can fail."""
    try:
        yield
    except (MlflowException, requests.RequestException) as error:
        reason = (str(error) or repr(error)).splitlines()[0][:200]
        failure = "does not answer" if "Max retries" in reason else f"fails: {reason}"
        raise RegistryUnavailableError(f"MLflow at {tracking_uri} {failure}") from error


class Run:
    """A run that is being written; every method raises `RegistryUnavailableError` on failure."""

    def __init__(self, tracking_uri: str, run_id: str) -> None:
        self.tracking_uri, self.run_id = tracking_uri, run_id
        self._client = MlflowClient(tracking_uri)

    @classmethod
    def start(cls, tracking_uri: str, tags: Mapping[str, str], at: float) -> "Run":
        """Start a run at a Unix time, in the experiment, which is created or restored."""
        with mlflow_errors(tracking_uri):
            client = MlflowClient(tracking_uri)
            found = client.get_experiment_by_name(EXPERIMENT)
            experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
            if found and found.lifecycle_stage == "deleted":
                client.restore_experiment(experiment)
            run = client.create_run(experiment, int(at * 1000), dict(tags))
        return cls(tracking_uri, run.info.run_id)

    def log_params(self, values: Mapping[str, object]) -> None:
        """Log what the training started from."""
        params = [Param(name, str(value)) for name, value in values.items()]
        with mlflow_errors(self.tracking_uri):
            self._client.log_batch(self.run_id, params=params)

    def log_metrics(self, values: Mapping[str, float], at: float) -> None:
        """Log numbers, at a Unix time in seconds."""
        metrics = [Metric(name, value, int(at * 1000), 0) for name, value in values.items()]
        with mlflow_errors(self.tracking_uri):
            self._client.log_batch(self.run_id, metrics=metrics)

    def set_tags(self, values: Mapping[str, str]) -> None:
        """Set tags, by which runs can be searched."""
        tags = [RunTag(name, value[:_LONGEST_TAG]) for name, value in values.items()]
        with mlflow_errors(self.tracking_uri):
            self._client.log_batch(self.run_id, tags=tags)

    def log_sample(self, sample: Sample) -> None:
        """Log the table and its version as the run's data set, and keep the rows themselves."""
        source = DeltaDatasetSource(path=sample.table_uri, delta_table_version=sample.table_version)
        dataset = from_numpy(sample.drawn, source=source, name="raw_transactions")
        context = InputTag("mlflow.data.context", "training")
        with mlflow_errors(self.tracking_uri):
            inputs = [DatasetInput(dataset._to_mlflow_entity(), [context])]
            self._client.log_inputs(self.run_id, inputs)
        self.log_file(SAMPLE_FILE, sample.write)

    def log_json(self, name: str, value: Any) -> None:
        """Keep a value as a JSON artifact."""
        self.log_file(name, lambda path: path.write_text(json.dumps(value, indent=1)))

    def log_file(self, name: str, write: Callable[[Path], object]) -> None:
        """Keep as an artifact the file that `write` writes at the path it is given."""
        with tempfile.TemporaryDirectory() as folder, mlflow_errors(self.tracking_uri):
            write(Path(folder) / name)
            self._client.log_artifact(self.run_id, str(Path(folder) / name))

    def register(self, pipeline: Pipeline, calibration: Calibration, rows: Floats) -> str:
        """Save a model under this run and register it; returns its version.

        The first of `rows`, shape (n, 8), become its input example and its proof.
        """
        proof = rows[:PROOF_ROWS]
        with mlflow_errors(self.tracking_uri), tempfile.TemporaryDirectory() as folder:
            mlflow.set_tracking_uri(self.tracking_uri)
            with mlflow.start_run(run_id=self.run_id):
                logged = mlflow.sklearn.log_model(
                    set_threshold(pipeline, calibration.threshold),
                    name="model",
                    serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
                    skops_trusted_types=TRUSTED_TYPES,
                    signature=_SIGNATURE,
                    input_example=example(proof[:5]),
                    pip_requirements=_REQUIREMENTS,
                    extra_files=write_extras(Path(folder), pipeline, calibration, proof),
                )
            version = self._client.create_model_version(
                MODEL_NAME, logged.model_uri, self.run_id, model_id=logged.model_id
            )
        return str(version.version)

    def end(self, status: str) -> None:
        """Close the run as FINISHED or FAILED; does nothing while MLflow does not answer."""
        with suppress(MlflowException, requests.RequestException):
            self._client.set_terminated(self.run_id, status)


class Registry(FollowedRegistry):
    """The registry as a training has it, which also writes."""

    def __init__(self, tracking_uri: str, origin: Origin) -> None:
        super().__init__(tracking_uri, origin, read_model)

    def ensure_model(self) -> None:
        """Create the model with its origin, or check the origin; raises as `registered_model`."""
        if registered_model(self.tracking_uri, self.origin) is not None:
            return
        with mlflow_errors(self.tracking_uri):
            MlflowClient(self.tracking_uri).create_registered_model(
                MODEL_NAME,
                tags={ORIGIN_TAG: self.origin},
                description="Isolation Forest over a transaction's seven numbers and its market; "
                "higher is more unusual, and unusual is not illicit.",
            )

    def promote(self, champion: Champion) -> None:
        """Give the alias to a loaded version."""
        newest = identity(self.tracking_uri, champion.version)
        promote(self.tracking_uri, champion.version)
        self._loaded, self._identity = champion, newest

    def pipeline(self, version: str) -> Pipeline:
        """The fitted pipeline of a version; raises `ModelRefusedError` if its file is refused."""
        with tempfile.TemporaryDirectory() as folder:
            return read_pipeline(download(self.tracking_uri, version, Path(folder)) / MODEL_FILE)

    def tag_version(self, version: str, tags: Mapping[str, str]) -> None:
        """Set tags on a version; empty ones are left out."""
        with mlflow_errors(self.tracking_uri):
            client = MlflowClient(self.tracking_uri)
            for name, value in tags.items():
                if value:
                    client.set_model_version_tag(MODEL_NAME, version, name, value[:_LONGEST_TAG])

    def recorded_run(self, run_id: str) -> RunRecord:
        """What MLflow has of a run."""
        with mlflow_errors(self.tracking_uri):
            return MlflowClient(self.tracking_uri).get_run(run_id)

    def sample(self, run_id: str) -> Sample | None:
        """The sample that a run kept, or None."""
        with mlflow_errors(self.tracking_uri), tempfile.TemporaryDirectory() as folder:
            files = MlflowClient(self.tracking_uri).list_artifacts(run_id)
            if SAMPLE_FILE not in {file.path for file in files}:
                return None
            path = mlflow.artifacts.download_artifacts(
                run_id=run_id,
                artifact_path=SAMPLE_FILE,
                dst_path=folder,
                tracking_uri=self.tracking_uri,
            )
            return Sample.read(Path(path))


def example(rows: Floats) -> pd.DataFrame:
    """Rows of shape (n, 8) as MLflow's signature has them: whole numbers, and the going rate."""
    frame = pd.DataFrame(rows, columns=list(DETECTOR_FIELDS))
    return frame.astype(dict.fromkeys(NUMERIC_FIELDS, np.int64))
