"""The API over a small real champion, for tests and benchmarks that call it in their process."""

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from api.application import create_app
from api.routes.anomalies import ScoredTable
from api.schemas import EXAMPLE
from core.background import BackgroundLoop
from core.casework import CaseworkStore
from core.detector.calibration import calibrate
from core.detector.champion import Champion
from core.settings import ApiSettings
from model.pipeline import ForestShape, fit
from monitoring.api_metrics import ApiMetrics
from monitoring.prometheus_metrics import new_registry

OVERPAID = EXAMPLE | {
    "size": 90_000,
    "weight": 360_000,
    "fee": 900_000_000,
    "input_value": 1_000_000_000,
    "output_value": 100_000_000,
}
"""A transaction that every champion flags: its fee is nine tenths of its inputs."""


class FixedFollower:
    """Has the champion that a test gives it, without a registry."""

    def __init__(self, champion: Champion | None = None, problem: str | None = None) -> None:
        self.current, self.problem = champion, problem
        self.loop = BackgroundLoop("champion", lambda: None, 60)
        self.started = self.stopped = False

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.stopped = True


def traffic(rows: int, seed: int = 0) -> NDArray[np.float64]:
    """Consistent transactions: shape (rows, 8), the columns in the order of `DETECTOR_FIELDS`."""
    rng = np.random.default_rng(seed)
    inputs, outputs = rng.geometric(0.5, rows), rng.geometric(0.4, rows) + 1
    size = 150 * inputs + 34 * outputs + 10
    fee = (size * rng.lognormal(3, 0.8, rows)).astype(np.int64)
    value = (10 ** rng.uniform(4, 9, rows)).astype(np.int64)
    numbers = [size, 3 * size, fee, inputs, outputs, value + fee, value]
    return np.column_stack([*numbers, np.full(rows, np.median(fee / size * 4 / 3))])


def fitted(rows: NDArray[np.float64], seed: int = 0) -> Pipeline:
    """A pipeline with a small forest."""
    return fit(rows, ForestShape(trees=50, sub_sample=256, seed=seed))


def calibrated(pipeline: Pipeline, rows: NDArray[np.float64], version: str) -> Champion:
    """A champion of the pipeline, calibrated on the rows."""
    calibration = calibrate(
        rows,
        -pipeline.score_samples(rows),
        budget=0.005,
        origin="simulated",
        trained_at="2026-11-23T10:00:00+00:00",
        facts={"evaluation": {"recall": 0.9}, "market_fee_rate": 26.0},
    )
    return Champion.from_pipeline(pipeline, calibration, version)


def application(
    follower: FixedFollower,
    settings: ApiSettings | None = None,
    lake: str = "nowhere",
    metrics: ApiMetrics | None = None,
    casework: str = "nowhere",
) -> FastAPI:
    return create_app(
        follower,
        ScoredTable(lake, "simulated"),
        CaseworkStore(casework, "simulated"),
        metrics or ApiMetrics(new_registry("api")),
        settings or ApiSettings(_env_file=None),
    )
