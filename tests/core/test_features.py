"""Features: their formulas, their robustness, and one result however they are computed."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.detector.rarity_scale import learn_rarity_scale
from core.feature_table import FEATURES, NAMES
from core.features import (
    SUMMARIES,
    coinbase_rows,
    credit_summaries,
    features,
    isolate,
    market_measures,
    measures,
)
from core.transaction import DETECTOR_FIELDS, MAX_COUNT, MAX_MONEY, MAX_WEIGHT, NUMERIC_FIELDS

Floats = NDArray[np.float64]
K = len(FEATURES)

_money = st.integers(0, MAX_MONEY)
_weight = st.integers(1, MAX_WEIGHT)
_count = st.integers(0, MAX_COUNT)
rows = st.lists(
    st.tuples(_weight, _weight, _money, _count, _count, _money, _money, st.floats(0, 1e6)),
    min_size=1,
    max_size=9,
).map(lambda numbers: np.array(numbers, np.float64))


@pytest.fixture(scope="module")
def learned(traffic: Floats) -> NDArray[np.float64]:
    return learn_rarity_scale(traffic)


def test_each_measure_follows_its_formula() -> None:
    row = {
        "size": 250.0,
        "weight": 1000.0,
        "fee": 5000.0,
        "inputs_count": 2.0,
        "outputs_count": 4.0,
        "input_value": 1_000_000.0,
        "output_value": 995_000.0,
    }
    measured = measures(np.array([[*(row[name] for name in NUMERIC_FIELDS), 15.5]]))[0]
    for feature, value in zip(FEATURES, measured, strict=True):
        formula = feature.formula.replace("2 inputs", "2 * inputs").replace("4 out", "4 * out")
        assert value == eval(formula, dict(row)), feature.name


@given(rows)
@settings(deadline=None)
def test_every_transaction_has_finite_features(numbers: Floats) -> None:
    learned = learn_rarity_scale(np.array([[250, 1000, 5000, 2, 2, 1_000_000, 995_000, 15.5]]))
    columns = features(numbers, learned)
    assert columns.shape == (len(numbers), K + 2 * SUMMARIES)
    assert np.isfinite(columns.astype(np.float32)).all()


@given(rows)
@settings(deadline=None)
def test_a_row_has_the_same_features_alone_as_among_others(numbers: Floats) -> None:
    learned = learn_rarity_scale(numbers)
    together = features(numbers, learned)
    alone = np.concatenate([features(numbers[i : i + 1], learned) for i in range(len(numbers))])
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 17, 1001])
def test_no_memory_layout_changes_a_bit(
    count: int, traffic: Floats, learned: NDArray[np.float64]
) -> None:
    expected = features(traffic, learned)[:count]
    some = traffic[:count]
    strided = np.repeat(some, 2, axis=0)[::2]
    column_major = np.asfortranarray(some)
    frame = pd.DataFrame(some, columns=list(DETECTOR_FIELDS))
    variants: list[Any] = [some, some.astype(np.float64), strided, column_major, frame]
    for variant in variants:
        assert np.array_equal(features(variant, learned), expected)
        assert np.array_equal(measures(variant), measures(traffic)[:count])


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected shape \(n, 8\), got \(3, 6\)"):
        measures(np.ones((3, 6)))


@pytest.mark.parametrize("name", ["fee", "inputs_count", "outputs_count"])
def test_the_rarest_grows_for_ever_as_one_number_grows(
    name: str, traffic: Floats, learned: NDArray[np.float64]
) -> None:
    grown = np.repeat(np.median(traffic, axis=0)[None], 12, axis=0)
    grown[:, NUMERIC_FIELDS.index(name)] = 10.0 ** np.arange(4, 16)
    rarest = features(grown, learned)[:, K]
    assert (np.diff(rarest) > 0).all()


def test_rarity_is_zero_at_the_median_and_two_at_the_bound_of_one_in_a_hundred(
    traffic: Floats, learned: NDArray[np.float64]
) -> None:
    rarities = features(traffic, learned)[:, :K]
    assert np.abs(np.median(rarities, axis=0)).max() < 0.05
    beyond = (np.abs(rarities) > 2.0001).mean(axis=0)
    assert (beyond <= 0.021).all()
    assert beyond[NAMES.index("fee_rate")] == pytest.approx(0.02, abs=0.001)


def test_the_summaries_are_the_rarest_and_the_two_rarest(
    traffic: Floats, learned: NDArray[np.float64]
) -> None:
    columns = features(traffic[:500], learned)
    ordered = np.sort(np.abs(columns[:, :K]), axis=1)
    for repeat in range(SUMMARIES):
        assert np.array_equal(columns[:, K + 2 * repeat], ordered[:, -1])
        assert np.allclose(columns[:, K + 2 * repeat + 1], ordered[:, -2:].sum(axis=1), rtol=1e-15)


def test_crediting_gives_each_summary_to_the_measures_it_is_made_of() -> None:
    columns = np.zeros((1, K + 2 * SUMMARIES))
    columns[0, [2, 5]] = [-3.0, 1.0]
    parts = np.zeros_like(columns)
    parts[0, K], parts[0, K + 1], parts[0, 4] = 10.0, 4.0, 0.5
    expected = np.zeros(K)
    expected[[2, 4, 5]] = [10.0 + 3.0, 0.5, 1.0]
    assert np.array_equal(credit_summaries(parts, columns)[0], expected)


@given(rows, st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_crediting_loses_nothing(numbers: Floats, seed: int) -> None:
    columns = features(numbers, learn_rarity_scale(numbers))
    parts = np.random.default_rng(seed).normal(size=columns.shape)
    assert np.allclose(credit_summaries(parts, columns).sum(axis=1), parts.sum(axis=1))


def test_a_coinbase_spends_nothing_pays_no_fee_and_has_outputs() -> None:
    coinbase = [200, 700, 0, 1, 1, 0, 312_500_000]
    others = [
        [200, 700, 1, 1, 1, 0, 5],
        [200, 700, 0, 1, 1, 5, 5],
        [200, 700, 0, 1, 1, 0, 0],
        [200, 700, 0, 5_569, 1, 0, 5],
        [200, 700, 0, 0, 1, 0, 5],
    ]
    assert coinbase_rows(np.array([coinbase, *others])).tolist() == [True] + 5 * [False]


def test_fees_that_rise_with_the_market_change_no_feature(
    traffic: Floats, learned: NDArray[np.float64]
) -> None:
    before = features(traffic[:500], learned)
    dearer = traffic[:500].copy()
    dearer[:, [2, 7]] *= 10  # fee and market
    after = features(dearer, learned)
    assert np.allclose(after[:, :K], before[:, :K], atol=1e-9)
    alone = traffic[:500].copy()
    alone[:, 2] *= 10
    fee_rate = NAMES.index("fee_rate")
    assert (features(alone, learned)[:, fee_rate] > before[:, fee_rate]).all()
    assert np.array_equal(measures(dearer), measures(alone)), "absolute facts are what they are"


def test_measures_beside_the_market_are_multiples_of_it(traffic: Floats) -> None:
    multiples, measured = market_measures(traffic[:50]), measures(traffic[:50])
    for column, feature in enumerate(FEATURES):
        factor = traffic[:50, 7] if feature.beside_market else 1.0
        assert np.allclose(multiples[:, column] * factor, measured[:, column])


def test_isolating_one_measure_sets_its_rarity_and_the_summaries(
    traffic: Floats, learned: NDArray[np.float64]
) -> None:
    columns = features(traffic[:3], learned)
    moved = isolate(columns, np.array([0, 4, 8]), np.array([5.0, -6.0, 0.0]))
    assert moved[[0, 1, 2], [0, 4, 8]].tolist() == [5.0, -6.0, 0.0]
    ordered = np.sort(np.abs(moved[:, :K]), axis=1)
    assert np.array_equal(moved[:, K], ordered[:, -1])
    assert np.allclose(moved[:, K + 1], ordered[:, -2:].sum(axis=1))
