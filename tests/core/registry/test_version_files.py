"""A version's files: what is read, and what is refused."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from core.ordinary_traffic import traffic
from core.registry.version_files import (
    CALIBRATION_FILE,
    EXTRA_FOLDER,
    MODEL_FILE,
    PROOF_FILE,
    ModelRefusedError,
    read_model,
    read_pipeline,
)

ROWS = traffic.beside_market(2_000, seed=1)

SAVED = Path(__file__).parent / "version_1"
"""A version saved by release 0.1.0, whose model knows no market."""

NINE_MEASURES = Path(__file__).parent / "version_2"
"""A version saved by release 0.4.0, whose model knows nine measures."""


def test_a_whole_version_loads_and_scores_as_it_did(folder: Path) -> None:
    champion, pipeline = read_model(folder, "7"), read_pipeline(folder / MODEL_FILE)
    assert champion.version == "7"
    np.testing.assert_array_equal(champion.scores(ROWS), -pipeline.score_samples(ROWS))


def test_a_version_of_a_release_that_knew_no_market_is_refused_in_a_sentence() -> None:
    with pytest.raises(ModelRefusedError, match="trained without the going fee rate") as refused:
        read_model(SAVED, "1")
    assert "the trainer makes a new one" in str(refused.value)


def test_a_version_of_a_release_with_other_measures_is_refused_in_a_sentence() -> None:
    with pytest.raises(ModelRefusedError, match="trained on other measures") as refused:
        read_model(NINE_MEASURES, "2")
    assert "the trainer makes a new one" in str(refused.value)


def test_a_score_that_differs_in_its_last_bit_is_of_another_processor(folder: Path) -> None:
    path = folder / EXTRA_FOLDER / PROOF_FILE
    proof = json.loads(path.read_text())
    proof["scores"] = np.nextafter(proof["scores"], 1.0).tolist()
    path.write_text(json.dumps(proof))
    assert read_model(folder, "7").version == "7"
    proof["scores"][-1] += 1e-9
    path.write_text(json.dumps(proof))
    with pytest.raises(ModelRefusedError, match="no longer gives the scores"):
        read_model(folder, "7")


def _truncated(folder: Path) -> None:
    path = folder / MODEL_FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(folder: Path) -> None:
    (folder / MODEL_FILE).write_bytes(b"")


def _missing(folder: Path) -> None:
    (folder / MODEL_FILE).unlink()


def _pickled(folder: Path) -> None:
    (folder / MODEL_FILE).write_bytes(pickle.dumps(_Trap()))


def _another_model(folder: Path) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    skops.io.dump(model, folder / MODEL_FILE)


def _another_function(folder: Path) -> None:
    steps = [("features", FunctionTransformer(np.log1p)), ("forest", IsolationForest())]
    skops.io.dump(Pipeline(steps).fit(np.ones((9, 7))), folder / MODEL_FILE)


def _unknown_type(folder: Path) -> None:
    skops.io.dump(_Trap(), folder / MODEL_FILE)


def _no_calibration(folder: Path) -> None:
    (folder / EXTRA_FOLDER / CALIBRATION_FILE).unlink()


def _half_a_calibration(folder: Path) -> None:
    path = folder / EXTRA_FOLDER / CALIBRATION_FILE
    path.write_text(path.read_text()[:100])


def _other_scores(folder: Path) -> None:
    path = folder / EXTRA_FOLDER / PROOF_FILE
    path.write_text(path.read_text().replace("0.4", "0.5"))


class _Trap:
    """Fails the test when it is unpickled."""

    def __setstate__(self, state: object) -> None:
        pytest.fail("a file of a model was executed")

    def __getstate__(self) -> dict[str, int]:
        return {"armed": 1}


@pytest.mark.parametrize(
    "damage",
    [
        _truncated,
        _empty,
        _missing,
        _pickled,
        _another_model,
        _another_function,
        _unknown_type,
        _no_calibration,
        _half_a_calibration,
        _other_scores,
    ],
)
def test_a_version_that_is_not_what_it_should_be_is_refused(
    damage: Callable[[Path], None], folder: Path
) -> None:
    damage(folder)
    with pytest.raises(ModelRefusedError) as refused:
        read_model(folder, "7")
    assert len(str(refused.value)) > 20
