"""Repeats a run from its sample and its parameters in MLflow, without the table."""

import logging

import numpy as np
from mlflow.entities import Run as RunRecord

from model.challenger import (
    Origin,
    Recipe,
    TrainingData,
    recalibrate_challenger,
    train_challenger,
)
from model.mlflow_runs import Registry
from model.pipeline import ForestShape

log = logging.getLogger(__name__)


class UnrepeatableRunError(RuntimeError):
    """A run has no version or no sample to repeat it with; the message says which."""


def repeat_run(registry: Registry, run_id: str) -> bool:
    """Train again what a run trained; True when threshold and scores are equal to the bit.

    The scores are those of the run's newest rows. Raises `RegistryUnavailableError` for a run that
    does not exist, `UnrepeatableRunError` for one without a version or a sample, and
    `ModelRefusedError` when a version that it needs cannot be read.
    """
    record = registry.recorded_run(run_id)
    tags, version = record.data.tags, record.data.tags.get("version")
    if version is None:
        raise UnrepeatableRunError(
            f"run {run_id} is {record.info.status} and registered no version: choose another run"
        )
    sample = registry.sample(run_id)
    if sample is None:
        raise UnrepeatableRunError(f"run {run_id} has no sample any more: choose a newer run")
    registered = registry.pipeline(version)
    data = TrainingData.prepare(sample, _recipe(record))
    if "trees_of_version" in tags:
        trees = registry.pipeline(tags["trees_of_version"])
        repeated = recalibrate_challenger(trees, data, now=0.0)
    else:
        repeated = train_challenger(data, now=0.0)
    scores = -repeated.pipeline.score_samples(sample.newest)
    equal = bool(
        np.array_equal(scores, -registered.score_samples(sample.newest))
        and repeated.model.threshold == float(record.data.params["threshold"])
    )
    log.info(
        "event=run_repeated run=%s version=%s rows=%d equal=%s", run_id, version, len(scores), equal
    )
    return equal


def _recipe(record: RunRecord) -> Recipe:
    params = record.data.params
    shape = ForestShape(*(int(params[name]) for name in ("trees", "sub_sample", "seed")))
    origin: Origin = "simulated" if record.data.tags["origin"] == "simulated" else "live"
    return Recipe(shape, int(params["calibration_rows"]), float(params["budget"]), origin)
