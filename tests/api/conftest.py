"""A real small champion, and the application over it."""

from collections.abc import Iterator

import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from starlette.testclient import TestClient

from api.anomalies import Scored
from api.application import create_app
from core.detector.calibration import calibrate
from core.detector.champion import Champion
from core.settings import ApiSettings
from model.pipeline import ForestShape, fit
from monitoring.api_metrics import ApiMetrics
from monitoring.prometheus_metrics import new_registry

EXAMPLE = {
    "hash": "a1b2c3d4e5f6...",
    "size": 250,
    "weight": 1000,
    "fee": 5000,
    "inputs_count": 2,
    "outputs_count": 2,
    "input_value": 1_000_000,
    "output_value": 995_000,
}
OVERPAID = EXAMPLE | {
    "size": 90_000,
    "weight": 360_000,
    "fee": 900_000_000,
    "input_value": 1_000_000_000,
    "output_value": 100_000_000,
}


class Following:
    """Has the champion that a test gives it."""

    def __init__(self, champion: Champion | None = None, problem: str | None = None) -> None:
        self.current, self.problem = champion, problem
        self.started = self.stopped = False

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.stopped = True


def traffic(rows: int, seed: int = 0) -> NDArray[np.int64]:
    """Consistent transactions: shape (rows, 7), the columns in the order of the fields."""
    rng = np.random.default_rng(seed)
    inputs, outputs = rng.geometric(0.5, rows), rng.geometric(0.4, rows) + 1
    size = 150 * inputs + 34 * outputs + 10
    fee = (size * rng.lognormal(3, 0.8, rows)).astype(np.int64)
    value = (10 ** rng.uniform(4, 9, rows)).astype(np.int64)
    return np.column_stack([size, 3 * size, fee, inputs, outputs, value + fee, value])


def fitted(rows: NDArray[np.int64], seed: int = 0) -> Pipeline:
    return fit(rows, ForestShape(trees=50, sub_sample=256, seed=seed))


def made(pipeline: Pipeline, rows: NDArray[np.int64], version: str) -> Champion:
    """A champion of a pipeline, calibrated by the rows."""
    calibration = calibrate(
        rows,
        -pipeline.score_samples(rows),
        budget=0.005,
        origin="simulated",
        trained_at="2026-11-23T10:00:00+00:00",
        facts={"evaluation": {"recall": 0.9}},
    )
    return Champion.from_pipeline(pipeline, calibration, version)


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    return fitted(traffic(2_000))


@pytest.fixture(scope="session")
def champion(pipeline: Pipeline) -> Champion:
    return made(pipeline, traffic(2_000), "7")


def application(
    following: Following, settings: ApiSettings | None = None, lake: str = "nowhere"
) -> FastAPI:
    scored, metrics = Scored(lake, "simulated"), ApiMetrics(new_registry("api"))
    return create_app(following, scored, metrics, settings or ApiSettings(_env_file=None))


@pytest.fixture
def client(champion: Champion) -> Iterator[TestClient]:
    with TestClient(application(Following(champion))) as serving:
        yield serving
