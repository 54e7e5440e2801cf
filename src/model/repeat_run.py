"""A run repeated from its own record: the kept sample and parameters, nothing of the table."""

import logging
import tempfile
from pathlib import Path

import mlflow.artifacts
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Run as Recorded

from core.registry.follower import download
from core.registry.version_files import MODEL_FILE, read_pipeline
from model.challenger import Challenger, Origin, Recipe, judged, make
from model.mlflow_runs import SAMPLE_FILE, answering, read_sample
from model.pipeline import ForestShape
from model.sampling import Sample

log = logging.getLogger(__name__)


def repeat(tracking_uri: str, run_id: str) -> bool:
    """Train again what a run trained; True when every score of its newest rows is equal to the bit.

    Raises `RegistryUnavailableError` for a run that is not there or kept no sample, and
    `ModelRefusedError` when the version that it registered does not load.
    """
    with answering(tracking_uri), tempfile.TemporaryDirectory() as folder:
        recorded = MlflowClient(tracking_uri).get_run(run_id)
        path = mlflow.artifacts.download_artifacts(
            run_id=run_id, artifact_path=SAMPLE_FILE, dst_path=folder, tracking_uri=tracking_uri
        )
        sample = read_sample(Path(path))
        version = recorded.data.tags["version"]
        before = read_pipeline(download(tracking_uri, version, Path(folder) / version) / MODEL_FILE)
    again = _again(tracking_uri, recorded, sample)
    scores = -again.pipeline.score_samples(sample.newest)
    equal = np.array_equal(scores, -before.score_samples(sample.newest))
    same = again.calibration.threshold == float(recorded.data.params["threshold"])
    log.info("repeated run=%s version=%s rows=%d equal=%s", run_id, version, len(scores), equal)
    return bool(equal and same)


def _again(tracking_uri: str, recorded: Recorded, sample: Sample) -> Challenger:
    recipe = _recipe(recorded)
    parent = recorded.data.tags.get("trees_of_version")
    if parent is None:
        return make(sample, recipe, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        trees = read_pipeline(download(tracking_uri, parent, Path(folder)) / MODEL_FILE)
    return judged(trees, sample.drawn[: recipe.calibration_rows], sample, recipe, 0.0)


def _recipe(recorded: Recorded) -> Recipe:
    params = recorded.data.params
    shape = ForestShape(*(int(params[name]) for name in ("trees", "sub_sample", "seed")))
    origin: Origin = "simulated" if recorded.data.tags["origin"] == "simulated" else "live"
    return Recipe(shape, int(params["calibration_rows"]), float(params["budget"]), origin)
