"""One run in MLflow: what a training did, with everything that its repetition needs."""

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow import MlflowClient
from mlflow.data.delta_dataset_source import DeltaDatasetSource
from mlflow.data.numpy_dataset import from_numpy
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from core.registry.follower import MODEL_NAME
from core.registry.rest import RegistryUnavailableError
from core.transaction import NUMERIC_FIELDS
from model.mlflow_client import answering
from model.sampling import Sample

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
