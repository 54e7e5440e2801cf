"""A fitted pipeline into MLflow: its files under a run, then a version of the registered model.

A version is complete before it exists and bears no alias before it is promoted, so that nothing is
half-promoted whenever MLflow stops.
"""

import tempfile
from pathlib import Path

import mlflow
import mlflow.sklearn
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from numpy import int64
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from core.detector.calibration import Calibration
from core.registry.follower import MODEL_NAME, ORIGIN_TAG, registered_model
from core.registry.version_files import TRUSTED_TYPES, write_extras
from core.transaction import NUMERIC_FIELDS
from model.mlflow_client import answering
from model.pipeline import with_threshold

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
