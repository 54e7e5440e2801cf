import numpy as np

from core.detector.calibration import calibrate
from core.detector.champion import Champion
from data_ingestion.simulation import traffic
from model.accidents import ACCIDENTS, judged
from model.pipeline import ForestShape, fit


def test_the_accidents_are_consistent_and_have_their_sources() -> None:
    for accident in ACCIDENTS:
        t = accident.transaction
        assert t.fee == t.input_value - t.output_value
        assert t.size <= t.weight <= 4 * t.size
        assert accident.source.startswith("https://") and accident.assumed


def test_the_accidents_of_history_would_have_been_flagged() -> None:
    rows = traffic.numbers(20_000, seed=5)
    pipeline = fit(rows, ForestShape())
    calibration = calibrate(
        rows,
        -pipeline.score_samples(rows),
        budget=0.001,
        origin="simulated",
        trained_at="2026-11-20T12:00:00+00:00",
        facts={},
    )
    found = judged(Champion.from_pipeline(pipeline, calibration, "1"))
    assert np.array([row["flagged"] for row in found]).all(), found
