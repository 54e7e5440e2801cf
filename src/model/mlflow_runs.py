"""How the trainer uses MLflow's own client: without long waits, and with one error for all.

One run in MLflow: what a training did, with everything that its repetition needs.

A fitted pipeline into MLflow: its files under a run, then a version of the registered model.

A version is complete before it exists and bears no alias before it is promoted, so that nothing is
half-promoted whenever MLflow stops.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from mlflow import MlflowClient
from mlflow.data.delta_dataset_source import DeltaDatasetSource
from mlflow.data.numpy_dataset import from_numpy
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from numpy import int64
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from core.detector.champion import Calibration
from core.registry.follower import (
    MODEL_NAME,
    ORIGIN_TAG,
    RegistryUnavailableError,
    registered_model,
)
from core.registry.version_files import TRUSTED_TYPES, write_extras
from core.transaction import NUMERIC_FIELDS
from model.pipeline import with_threshold
from model.sampling import Sample

# Without these a client waits for minutes on a server that is down; MLflow reads them when it asks.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
# A service's log is no place for progress bars and greetings.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


@contextmanager
def answering(tracking_uri: str) -> Iterator[None]:
    """Turn every way in which MLflow can fail into `RegistryUnavailableError`."""
    try:
        yield
    except (MlflowException, requests.RequestException) as error:
        reason = (str(error) or repr(error)).splitlines()[0][:200]
        says = "does not answer" if "Max retries" in reason else f"fails: {reason}"
        raise RegistryUnavailableError(f"MLflow at {tracking_uri} {says}") from error


EXPERIMENT = "bitcoin-anomaly-detection"
SAMPLE_FILE = "sample.parquet"
_FACTS = ("table_uri", "table_version", "table_rows")


class Run:
    """A run that is being written; every call raises `RegistryUnavailableError` on failure."""

    def __init__(self, tracking_uri: str, run_id: str) -> None:
        self.tracking_uri, self.run_id = tracking_uri, run_id
        self._client = MlflowClient(tracking_uri)

    @classmethod
    def start(cls, tracking_uri: str, tags: Mapping[str, str]) -> "Run":
        """Begin a run; the experiment is made where there is none yet."""
        with answering(tracking_uri):
            client = MlflowClient(tracking_uri)
            found = client.get_experiment_by_name(EXPERIMENT)
            experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
            return cls(tracking_uri, client.create_run(experiment, tags=dict(tags)).info.run_id)

    def params(self, values: Mapping[str, object]) -> None:
        """Log what went in."""
        params = [Param(name, str(value)) for name, value in values.items()]
        with answering(self.tracking_uri):
            self._client.log_batch(self.run_id, params=params)

    def metrics(self, values: Mapping[str, float], at: float) -> None:
        """Log numbers that came out, at a Unix time in seconds."""
        metrics = [Metric(name, value, int(at * 1000), 0) for name, value in values.items()]
        with answering(self.tracking_uri):
            self._client.log_batch(self.run_id, metrics=metrics)

    def tags(self, values: Mapping[str, str]) -> None:
        """Say what is to be found by."""
        tags = [RunTag(name, value[:4_000]) for name, value in values.items()]
        with answering(self.tracking_uri):
            self._client.log_batch(self.run_id, tags=tags)

    def dataset(self, sample: Sample) -> None:
        """Name the table and its version that the rows came from."""
        source = DeltaDatasetSource(path=sample.table_uri, delta_table_version=sample.table_version)
        described = from_numpy(sample.drawn, source=source, name="raw_transactions")
        context = InputTag("mlflow.data.context", "training")
        with answering(self.tracking_uri):
            self._client.log_inputs(
                self.run_id, [DatasetInput(described._to_mlflow_entity(), [context])]
            )

    def document(self, name: str, value: Any) -> None:
        """Keep JSON as an artifact."""
        self.file(name, lambda path: path.write_text(json.dumps(value, indent=1)))

    def file(self, name: str, write: Callable[[Path], object]) -> None:
        """Keep what `write` puts at a path as an artifact."""
        with tempfile.TemporaryDirectory() as folder, answering(self.tracking_uri):
            write(Path(folder) / name)
            self._client.log_artifact(self.run_id, str(Path(folder) / name))

    def end(self, status: str) -> None:
        """Close it as FINISHED or FAILED; that MLflow is away changes nothing any more."""
        with suppress(MlflowException, RegistryUnavailableError):
            self._client.set_terminated(self.run_id, status)


def run_of(tracking_uri: str, version: str) -> Run:
    """The run that a registered version came from."""
    with answering(tracking_uri):
        found = MlflowClient(tracking_uri).get_model_version(MODEL_NAME, version)
    return Run(tracking_uri, str(found.run_id))


def write_sample(sample: Sample, path: Path) -> None:
    """Write the rows of a sample, in their order, with a column that says which were held out."""
    rows = np.concatenate([sample.drawn, sample.newest])
    columns = dict(zip(NUMERIC_FIELDS, rows.T, strict=True))
    newest = np.arange(len(rows)) >= len(sample.drawn)
    facts = {name: str(getattr(sample, name)) for name in _FACTS}
    table = pa.table(columns | {"newest": newest}).replace_schema_metadata(facts)
    pq.write_table(table, path, compression="zstd")


def read_sample(path: Path) -> Sample:
    """Read what `write_sample` wrote."""
    table = pq.read_table(path, use_threads=False)
    rows = np.column_stack([table.column(name).to_numpy() for name in NUMERIC_FIELDS])
    newest, facts = table.column("newest").to_numpy(), table.schema.metadata
    uri, version, count = (facts[name.encode()].decode() for name in _FACTS)
    return Sample(rows[~newest], rows[newest], uri, int(version), int(count))


PROOF_ROWS = 64

_SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.long, name) for name in NUMERIC_FIELDS]),
    outputs=Schema([ColSpec(DataType.long)]),
)
_REQUIREMENTS = ["bitcoin-anomaly-detection", "numpy", "scikit-learn", "skops", "numba"]


def ensure_registered_model(tracking_uri: str, origin: str) -> None:
    """Create the registered model with its origin, or check it; raises as `registered_model`."""
    if registered_model(tracking_uri, origin) is not None:
        return
    with answering(tracking_uri):
        MlflowClient(tracking_uri).create_registered_model(
            MODEL_NAME,
            tags={ORIGIN_TAG: origin},
            description="Isolation Forest over a transaction's seven numbers; higher is more "
            "unusual, and unusual is not illicit.",
        )


def register(
    tracking_uri: str,
    run_id: str,
    pipeline: Pipeline,
    calibration: Calibration,
    rows: NDArray[int64],
) -> str:
    """Save a model under a run that is active or not, and register it; returns its version.

    The first of `rows` become its input example and its proof. Raises `RegistryUnavailableError`.
    """
    proof = rows[:PROOF_ROWS]
    with answering(tracking_uri), tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(tracking_uri)
        with mlflow.start_run(run_id=run_id, nested=mlflow.active_run() is not None):
            logged = mlflow.sklearn.log_model(
                with_threshold(pipeline, calibration.threshold),
                name="model",
                serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
                skops_trusted_types=TRUSTED_TYPES,
                signature=_SIGNATURE,
                input_example=pd.DataFrame(proof[:5], columns=list(NUMERIC_FIELDS)),
                pip_requirements=_REQUIREMENTS,
                extra_files=write_extras(Path(folder), pipeline, calibration, proof),
            )
        version = MlflowClient(tracking_uri).create_model_version(
            MODEL_NAME, logged.model_uri, run_id, model_id=logged.model_id
        )
    return str(version.version)


def tag_version(tracking_uri: str, version: str, tags: dict[str, str]) -> None:
    """Say something about a version where people look for it; empty tags are left out."""
    client = MlflowClient(tracking_uri)
    with answering(tracking_uri):
        for name, value in tags.items():
            if value:
                client.set_model_version_tag(MODEL_NAME, version, name, value[:4_000])
