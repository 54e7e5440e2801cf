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


def repeat_run(registry: Registry, run_id: str) -> bool:
    """Train again what a run trained; True when threshold and scores are equal to the bit.

    The scores are those of the run's newest rows. Raises `RegistryUnavailableError` for a run that
    does not exist or kept no sample, and `ModelRefusedError` when the version that it registered
    cannot be read.
    """
    record, sample = registry.recorded_run(run_id)
    tags, version = record.data.tags, record.data.tags["version"]
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
