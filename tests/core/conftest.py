"""Ordinary traffic, and a champion that was trained on it."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from core.features import features
from core.scorer import Champion, calibrate
from core.tails import tails
from data_ingestion.simulation.traffic import numbers

Integers = NDArray[np.int64]


def fitted(rows: Integers, trees: int = 200, sub_sample: int = 1024) -> Pipeline:
    seen = FunctionTransformer(features, kw_args={"tails": tails(rows)})
    forest = IsolationForest(
        n_estimators=trees, max_samples=min(sub_sample, len(rows)), random_state=7
    )
    return Pipeline([("features", seen), ("forest", forest)]).fit(rows)


def made(pipeline: Pipeline, recent: Integers) -> Champion:
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
def traffic() -> Integers:
    return numbers(60_000, seed=3)


@pytest.fixture(scope="session")
def pipeline(traffic: Integers) -> Pipeline:
    return fitted(traffic[:30_000])


@pytest.fixture(scope="session")
def champion(pipeline: Pipeline, traffic: Integers) -> Champion:
    return made(pipeline, traffic[30_000:50_000])
