import numpy as np

from core.ordinary_traffic import traffic
from model.challenger import Recipe, TrainingData, train_challenger
from model.pipeline import ForestShape
from model.report.historic_accidents import ACCIDENTS, score_accidents
from model.sampling import Sample


def test_the_accidents_are_consistent_and_have_their_sources() -> None:
    for accident in ACCIDENTS:
        t = accident.transaction
        assert t.fee == t.input_value - t.output_value
        assert t.size <= t.weight <= 4 * t.size
        assert accident.source.startswith("https://") and accident.assumed


def test_the_accidents_of_history_would_have_been_flagged() -> None:
    rows = traffic.beside_market(20_000, seed=5)
    recipe = Recipe(ForestShape(), 50_000, 0.001, "simulated")
    sample = Sample(rows, rows[:500], "", 0, len(rows))
    model = train_challenger(TrainingData.prepare(sample, recipe), 0.0).model
    scored = score_accidents(model)
    assert np.array([row["flagged"] for row in scored]).all(), scored
