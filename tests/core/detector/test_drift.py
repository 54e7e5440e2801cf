import math
from dataclasses import replace

import numpy as np
import pytest

from core.detector.champion import Champion
from core.detector.drift import (
    SCORE,
    drift_indexes,
    drift_limit,
    drift_reference,
    stability_index,
)
from core.feature_table import NAMES
from core.features import MARKET
from core.ordinary_traffic.traffic import Floats, Traffic, beside_market, going_rate
from model.challenger import Recipe, TrainingData, train_challenger
from model.pipeline import ForestShape
from model.sampling import Sample

HOUR, DAY = 3_600.0, 86_400.0
TRAINED = 1.8e9
SEED = 5
"""One network for all times: its spikes are where its seed has them."""


def traffic(start: float, end: float, rows: int) -> Floats:
    """Rows that arrive at an even pace between two Unix times, each beside its market."""
    times = np.linspace(start, end, rows, endpoint=False)
    return np.column_stack([Traffic(SEED).draw(times).numbers, going_rate(times, SEED)])


def indexes(champion: Champion, rows: Floats) -> dict[str, float]:
    return drift_indexes(champion.calibration.facts["drift"], rows, champion.scores(rows))


@pytest.fixture(scope="module")
def champion() -> Champion:
    """Trained on three days."""
    rows = np.random.default_rng(0).permutation(traffic(TRAINED - 3 * DAY, TRAINED, 12_000))
    recipe = Recipe(ForestShape(trees=20), 50_000, 0.001, "simulated")
    sample = Sample(rows, rows[:500], "", 0, len(rows), 3 * DAY)
    return train_challenger(TrainingData.prepare(sample, recipe), 0.0).model


def test_the_index_is_that_of_its_definition() -> None:
    then = {"edges": [0.0], "shares": [0.5, 0.5]}
    now = np.array([-1.0] * 20 + [1.0] * 80)
    expected = (0.2 - 0.5) * math.log(0.2 / 0.5) + (0.8 - 0.5) * math.log(0.8 / 0.5)
    assert stability_index(then, now) == pytest.approx(expected)
    assert stability_index(then, np.array([-1.0, 1.0])) == 0


@pytest.mark.parametrize("hours", range(0, 48, 4))
def test_a_day_of_the_same_network_has_not_drifted_at_any_hour(
    champion: Champion, hours: int
) -> None:
    end = TRAINED + hours * HOUR
    measured = indexes(champion, traffic(end - DAY, end, 6_000))
    assert set(measured) == {*NAMES, SCORE}
    assert max(measured.values()) < 0.1


def test_fees_that_rise_with_the_market_are_no_drift(champion: Champion) -> None:
    rows = traffic(TRAINED, TRAINED + DAY, 4_000)
    rows[:, 2] *= 4
    rows[:, 5] = rows[:, 6] + rows[:, 2]
    alone = indexes(champion, rows)
    assert alone["fee_rate"] > 0.25, "the market has not moved, all fees have"
    rows[:, MARKET] *= 4
    beside = indexes(champion, rows)
    assert max(beside["fee_rate"], beside["fee"]) < 0.1
    assert alone["outputs_count"] < 0.1


def test_less_than_a_day_has_no_limit(champion: Champion) -> None:
    assert drift_limit(champion.calibration, 20_000, DAY, 0.25) == pytest.approx(0.25, abs=0.01)
    assert drift_limit(champion.calibration, 20_000, 22 * HOUR, 0.25) == math.inf


def test_a_champion_whose_sample_covers_no_day_or_does_not_say_has_no_limit(
    champion: Champion,
) -> None:
    facts = dict(champion.calibration.facts) | {"covered_seconds": 6 * HOUR}
    short = replace(champion, calibration=replace(champion.calibration, facts=facts))
    assert drift_limit(short.calibration, 20_000, DAY, 0.25) == math.inf
    del facts["covered_seconds"]
    older = replace(champion, calibration=replace(champion.calibration, facts=facts))
    assert drift_limit(older.calibration, 20_000, DAY, 0.25) == math.inf


def test_small_samples_have_a_limit_above_what_chance_gives(champion: Champion) -> None:
    small = replace(champion, calibration=replace(champion.calibration, rows=1_000))
    limit = drift_limit(small.calibration, 1_000, DAY, 0.25)
    assert limit == pytest.approx(0.25 + 9 * 2 / 1_000)


def test_a_column_of_one_value_has_a_reference() -> None:
    rows = np.tile(beside_market(1, seed=1), (2_000, 1))
    reference = drift_reference(rows, np.full(2_000, 0.5))
    assert all(math.isclose(sum(bins["shares"]), 1, abs_tol=0.01) for bins in reference.values())
