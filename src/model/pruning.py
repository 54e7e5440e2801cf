"""Removing what is old from MLflow: versions, their model files, and runs with their samples.

MLflow itself frees little. Deleting a version leaves its files, and `mlflow gc` removes only runs
and logged models that were deleted themselves. This removes the files through the server at once.
The deleted runs and models keep a few rows each in the server's database until `mlflow gc`.

A version goes last. When MLflow stops half-way, the next call finds the rest.
"""

import logging
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run as RunRecord
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from core.registry.follower import MODEL_NAME, registered_model
from core.registry.rest import RegistryUnavailableError
from model.followed_registry import EXPERIMENT
from model.mlflow_runs import Registry, mlflow_errors

log = logging.getLogger(__name__)

MOST_AT_ONCE = 50
"""Runs that one call removes, so that a registry of thousands delays no training for long."""


def prune_registry(registry: Registry, kept: int) -> int:
    """Remove all but the newest `kept` versions and runs and those of an alias; returns the runs.

    Raises `RegistryUnavailableError` while MLflow does not answer, and `ModelRefusedError` for a
    registry of the other origin.
    """
    model = registered_model(registry.tracking_uri, registry.origin)
    with mlflow_errors(registry.tracking_uri):
        client = MlflowClient(registry.tracking_uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return 0
        versions = client.search_model_versions(f"name = '{MODEL_NAME}'") if model else []
        versions = sorted(versions, key=lambda version: int(version.version), reverse=True)
        named = set(model.aliases.values()) if model else set()
        kept_versions = {str(version.version) for version in versions[:kept]} | named
        kept_runs = {v.run_id for v in versions if str(v.version) in kept_versions}
        old = {v.run_id: v for v in versions if v.run_id and str(v.version) not in kept_versions}
        runs = client.search_runs(
            [experiment.experiment_id],
            f"tags.origin = '{registry.origin}'",
            order_by=["attributes.start_time DESC"],
        )
        # Oldest first: what one call leaves for the next is the newest.
        others = [r.info.run_id for r in runs[kept:] if r.info.run_id not in old.keys() | kept_runs]
        doomed = [*reversed(others), *reversed(old)][:MOST_AT_ONCE]
        for run_id in doomed:
            _remove(client, experiment.experiment_id, run_id, old.get(run_id))
    if doomed:
        log.info("event=registry_pruned runs=%d kept_versions=%d", len(doomed), len(kept_versions))
    return len(doomed)


def prune_or_log(registry: Registry, kept: int) -> None:
    """`prune_registry`; a failure is logged, because no training depends on it."""
    try:
        prune_registry(registry, kept)
    except (RegistryUnavailableError, OSError) as error:
        log.warning("event=registry_not_pruned reason=%s", error)


def _remove(
    client: MlflowClient, experiment_id: str, run_id: str, version: ModelVersion | None
) -> None:
    """Remove a run, the models that it logged, all their files, and the version."""
    for model in client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'"):
        _remove_files(client, str(model.artifact_location))
        client.delete_logged_model(model.model_id)
    run = _run(client, run_id)
    if run is not None:
        _remove_files(client, str(run.info.artifact_uri))
        if run.info.lifecycle_stage == "active":
            client.delete_run(run_id)
    if version is not None:
        client.delete_model_version(MODEL_NAME, str(version.version))


def _run(client: MlflowClient, run_id: str) -> RunRecord | None:
    """A run, deleted or not; None where `mlflow gc` has removed it."""
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return None
        raise


def _remove_files(client: MlflowClient, uri: str) -> None:
    """Remove a folder of files, with the parent that MLflow made for it alone."""
    folder = uri.removesuffix("/artifacts")
    repository: Any = get_artifact_repository(folder, tracking_uri=client.tracking_uri)
    repository.delete_artifacts()
