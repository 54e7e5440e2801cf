"""Repeats a training from its record in MLflow, to show that its model can be made again.

The record has the rows it was trained on and its parameters. The table is not read: it has grown.
"""

import logging

import numpy as np
from mlflow.entities import Run as RunRecord

from model.challenger import (
    Recipe,
    TrainingData,
    recalibrate_challenger,
    train_challenger,
)
from model.followed_registry import Origin
from model.mlflow_runs import Registry
from model.pipeline import ForestShape

log = logging.getLogger(__name__)


class UnrepeatableRunError(RuntimeError):
    """The run registered no model version, or its rows were removed; the message says which."""


def repeat_run(registry: Registry, run_id: str) -> bool:
    """Train a run's model again; True when threshold and scores are equal to the bit.

    The scores compared are those of the newest rows, which the run held out. Raises
    `RegistryUnavailableError` for a run that does not exist, `UnrepeatableRunError` for one without
    a version or a sample, and `ModelRefusedError` when a version that it needs cannot be read.
    """
    record = registry.recorded_run(run_id)
    tags, version = record.data.tags, record.data.tags.get("version")
    if version is None:
        raise UnrepeatableRunError(
            f"run {run_id} is {record.info.status} and registered no model version: choose another"
        )
    sample = registry.sample(run_id)
    if sample is None:
        raise UnrepeatableRunError(f"run {run_id} has no sample any more: choose a newer run")
    original = registry.pipeline(version)
    data = TrainingData.prepare(sample, _recipe(record))
    if "trees_of_version" in tags:  # a recalibration: only its threshold was new
        trees = registry.pipeline(tags["trees_of_version"])
        repeated = recalibrate_challenger(trees, data, now=0.0)
    else:
        repeated = train_challenger(data, now=0.0)
    scores = -repeated.pipeline.score_samples(sample.newest)
    equal = bool(
        np.array_equal(scores, -original.score_samples(sample.newest))
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
