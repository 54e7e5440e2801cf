import numpy as np

from core.detector.calibration import calibrate
from core.detector.champion import Champion
from core.ordinary_traffic import traffic
from model.pipeline import ForestShape, fit, set_threshold

ROWS = traffic.beside_market(4_000, seed=6)
SHAPE = ForestShape(trees=40)


def test_the_same_rows_shape_and_seed_give_the_same_scores_to_the_bit() -> None:
    first, second = (fit(ROWS, SHAPE).score_samples(ROWS) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = fit(ROWS, ForestShape(trees=40, seed=8)).score_samples(ROWS)
    assert not np.array_equal(first, other)


def test_the_prediction_of_the_pipeline_is_the_flag_of_the_champion() -> None:
    pipeline = fit(ROWS, SHAPE)
    scores = -pipeline.score_samples(ROWS)
    calibration = calibrate(
        ROWS, scores, budget=0.01, origin="live", trained_at="2026-11-20", facts={}
    )
    champion = Champion.from_pipeline(pipeline, calibration, "1")
    predicted = set_threshold(pipeline, calibration.threshold).predict(ROWS) == -1
    np.testing.assert_array_equal(predicted, champion.flags(ROWS, scores))
    assert 20 < predicted.sum() <= 40
    exact = set_threshold(pipeline, float(scores[0])).predict(ROWS[:1])
    assert exact[0] == -1
