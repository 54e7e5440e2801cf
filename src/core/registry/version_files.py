"""The files of one model version, and reading them without trusting them.

The pipeline is a skops file: not a pickle, so that only named types are loaded. Beside it are
`calibration.json` and `proof.json`, a few rows with the scores that they had when the version was
saved. Loading computes those scores again and compares them bit by bit.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.detector.calibration import Calibration
from core.detector.champion import Champion
from core.feature_table import NAMES
from core.features import features
from core.transaction import NUMERIC_FIELDS

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

MODEL_FILE, CALIBRATION_FILE, PROOF_FILE = "model.skops", "calibration.json", "proof.json"
EXTRA_FOLDER = "extra_files"
"""The folder, within a model's, in which MLflow stores files of other programs."""

FILES = (MODEL_FILE, *(f"{EXTRA_FOLDER}/{name}" for name in (CALIBRATION_FILE, PROOF_FILE)))
"""The files that are read, by their path in a version; MLflow stores others beside them."""

TRUSTED_TYPES = [f"{features.__module__}.{features.__qualname__}", "sklearn.tree._tree.Tree"]
"""The types that a model file may hold besides scikit-learn's estimators and NumPy's arrays."""


LAST_BITS = 1e-12
"""The relative difference that processors make: NumPy's power has other last bits on AVX-512."""


class ModelRefusedError(RuntimeError):
    """A model version, or a whole registry, must not be used; the message says why."""


def read_model(folder: Path, version: str) -> Champion:
    """Make a champion of a version's files; raises `ModelRefusedError` where one is unusable."""
    pipeline = read_pipeline(folder / MODEL_FILE)
    try:
        proof = json.loads((folder / EXTRA_FOLDER / PROOF_FILE).read_text())
        rows, scores = np.array(proof["rows"], np.float64), np.array(proof["scores"], np.float64)
        _check_columns(rows, pipeline[0].kw_args["tails"], version)
        calibration = Calibration.from_json((folder / EXTRA_FOLDER / CALIBRATION_FILE).read_text())
        champion = Champion.from_pipeline(pipeline, calibration, version)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelRefusedError(f"version {version} cannot be read: {error!r}") from error
    if not np.allclose(champion.scores(rows), scores, rtol=LAST_BITS, atol=0.0):
        raise ModelRefusedError(
            f"version {version} no longer gives the scores it gave when it was saved: it was made "
            "with other feature code or another scikit-learn; train a new one"
        )
    return champion


def _check_columns(rows: NDArray[np.float64], tails: NDArray[np.float64], version: str) -> None:
    """Refuse a version that knows no market, or not all measures: made by an earlier release."""
    if rows.ndim == 2 and rows.shape[1] == len(NUMERIC_FIELDS):
        raise ModelRefusedError(
            f"version {version} was trained without the going fee rate, by an earlier release: "
            "the trainer makes a new one"
        )
    if np.shape(tails)[1] != len(NAMES):
        raise ModelRefusedError(
            f"version {version} was trained on other measures than {', '.join(NAMES)}, by an "
            "earlier release: the trainer makes a new one"
        )


def read_pipeline(path: Path) -> "Pipeline":
    """Read a pipeline without executing code from its file.

    Raises `ModelRefusedError` for a file that is missing or damaged, holds a type that is not in
    `TRUSTED_TYPES`, or holds anything but our features and a forest.
    """
    # Not at the top: a process that only scores does without these libraries.
    from sklearn.ensemble import IsolationForest
    from sklearn.pipeline import Pipeline
    from skops.io import load

    try:
        pipeline = load(path, trusted=TRUSTED_TYPES)
    except Exception as error:  # a damaged file can raise anything
        reason = (str(error) or repr(error)).splitlines()[0]
        raise ModelRefusedError(f"{path.name} cannot be loaded safely: {reason}") from error
    if not isinstance(pipeline, Pipeline) or not isinstance(pipeline[-1], IsolationForest):
        raise ModelRefusedError(f"{path.name} holds no pipeline that ends in an isolation forest")
    if getattr(pipeline[0], "func", None) is not features:
        raise ModelRefusedError(f"{path.name} does not begin with this project's features")
    return pipeline


def write_extras(
    folder: Path, pipeline: "Pipeline", calibration: Calibration, rows: NDArray[np.float64]
) -> list[str]:
    """Write the calibration and the proof of a version; returns their paths."""
    scores = -pipeline.score_samples(rows)
    contents = {
        CALIBRATION_FILE: calibration.to_json(),
        PROOF_FILE: json.dumps({"rows": rows.tolist(), "scores": scores.tolist()}),
    }
    for name, text in contents.items():
        (folder / name).write_text(text)
    return [str(folder / name) for name in contents]
