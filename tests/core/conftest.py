"""Ordinary traffic, a champion that was trained on it, and the files of a version."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import skops.io
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from core.detector.calibration import calibrate
from core.detector.champion import Champion
from core.detector.rarity_scale import learn_rarity_scale
from core.features import features
from core.ordinary_traffic.traffic import beside_market
from core.registry.version_files import EXTRA_FOLDER, MODEL_FILE, write_extras

Floats = NDArray[np.float64]


def fitted(rows: Floats, trees: int = 200, sub_sample: int = 1024) -> Pipeline:
    columns = FunctionTransformer(features, kw_args={"tails": learn_rarity_scale(rows)})
    forest = IsolationForest(
        n_estimators=trees, max_samples=min(sub_sample, len(rows)), random_state=7
    )
    return Pipeline([("features", columns), ("forest", forest)]).fit(rows)


def champion_of(pipeline: Pipeline, recent: Floats) -> Champion:
    calibration = calibrate(
        recent,
        -pipeline.score_samples(recent),
        budget=0.001,
        origin="simulated",
        trained_at="2026-11-23T10:00:00+00:00",
        facts={"evaluation": {"auc": 0.99}},
    )
    return Champion.from_pipeline(pipeline, calibration, "3")


@pytest.fixture(scope="session")
def traffic() -> Floats:
    return beside_market(60_000, seed=3)


@pytest.fixture(scope="session")
def pipeline(traffic: Floats) -> Pipeline:
    return fitted(traffic[:30_000])


@pytest.fixture(scope="session")
def champion(pipeline: Pipeline, traffic: Floats) -> Champion:
    return champion_of(pipeline, traffic[30_000:50_000])


@pytest.fixture(scope="session")
def version_files(tmp_path_factory: pytest.TempPathFactory, traffic: Floats) -> Path:
    folder, rows = tmp_path_factory.mktemp("version"), traffic[:2_000]
    small = fitted(rows, trees=20)
    skops.io.dump(small, folder / MODEL_FILE)
    (folder / EXTRA_FOLDER).mkdir()
    write_extras(folder / EXTRA_FOLDER, small, champion_of(small, rows).calibration, rows[:20])
    return folder


@pytest.fixture
def folder(version_files: Path, tmp_path: Path) -> Path:
    """The files of a whole version, for a test to damage."""
    return Path(shutil.copytree(version_files, tmp_path / "version"))
