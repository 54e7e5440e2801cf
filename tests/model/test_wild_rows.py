"""First champions from few rows, some of them anomalies: good by construction, not by luck."""

import numpy as np
import pytest

from core.detector.injected_anomalies import KINDS
from core.features import Floats
from core.ordinary_traffic.traffic import beside_market
from model.evaluation import evaluate, inject
from model.flag_budget import MOST_WILD
from model.pipeline import FittedForest, ForestShape
from model.rarity_curve import budget_threshold, rarity_of_share, share_beyond
from model.reference_traffic import MARKET_SPREAD, in_other_markets, reference_rows
from model.wild_rows import wild_rows

BUDGET = 0.001
OTHERS = beside_market(10_000, seed=31)


def young(seed: int, wild: dict[str, int], rows: int = 2_000) -> Floats:
    """A young sample with so many anomalies of each kind among its rows."""
    sample, rng = beside_market(rows, seed=seed), np.random.default_rng(seed)
    made = [KINDS[kind].apply(OTHERS[:many], rng) for kind, many in wild.items()]
    return rng.permutation(np.concatenate([sample[sum(wild.values()) :], *made]))


def trained(rows: Floats) -> tuple[FittedForest, float]:
    """A small forest of the rows that are not wild, and its threshold."""
    kept = rows[~wild_rows(rows)]
    learned = in_other_markets(np.concatenate([reference_rows(), kept]), 7)
    fitted = FittedForest.fit(learned, ForestShape(trees=60))
    return fitted, budget_threshold(fitted.curve, fitted.scores(kept), BUDGET)


WILD = [
    {},
    {"inflated_output": 1, "zero_fee": 1},
    {"dust_fan_out": 20},
    {"mass_consolidation": 10, "fat_finger_fee": 10},
]


@pytest.mark.slow
@pytest.mark.parametrize("wild", WILD, ids=["none", "two", "twenty of a kind", "ten of two"])
def test_a_young_champion_finds_every_kind_whatever_it_was_trained_among(
    wild: dict[str, int],
) -> None:
    fitted, threshold = trained(young(5, wild))
    found = evaluate(fitted.scores, threshold, OTHERS, inject(OTHERS, 100))
    assert min(kind.recall for kind in found.kinds.values()) >= 0.9
    assert found.flagged <= 3 * BUDGET * found.rows


@pytest.mark.slow
def test_the_wild_rows_are_the_injected_ones_and_hardly_any_others() -> None:
    rows = young(6, {"giant_mix": 12, "fee_and_amount_swapped": 8})
    injected = (rows[:, 3] >= 900) | (rows[:, 2] >= 5_000_000)
    wild = wild_rows(rows)
    assert injected.sum() == 20
    assert (wild & injected).sum() >= 19
    assert (wild & ~injected).sum() <= 6


@pytest.mark.slow
def test_what_more_than_one_row_in_fifty_has_is_traffic() -> None:
    rows = young(7, {"dust_fan_out": 200})
    assert wild_rows(rows).mean() <= MOST_WILD


def test_a_source_that_repeats_itself_has_a_threshold_above_all_scores() -> None:
    fitted, _ = trained(young(8, {}, rows=300))
    farthest = np.full(100_000, 1.0)
    assert budget_threshold(fitted.curve, farthest, BUDGET) > 1.0


def test_the_threshold_of_few_rows_is_that_of_the_extrapolated_tail() -> None:
    fitted, _ = trained(young(9, {}, rows=300))
    expected = fitted.curve.score(rarity_of_share(BUDGET))
    nothing = np.full(20, 0.4)
    assert budget_threshold(fitted.curve, nothing, BUDGET) == pytest.approx(expected, abs=2e-3)
    assert share_beyond(np.array([rarity_of_share(BUDGET)]))[0] == pytest.approx(BUDGET)


def test_the_curve_rises_and_gives_each_score_its_rarity_back() -> None:
    fitted, _ = trained(young(10, {}, rows=300))
    assert (np.diff(fitted.curve.scores) > 0).all()
    rarities = np.array([2.25, 3.0, 4.0])
    scores = np.array([fitted.curve.score(rarity) for rarity in rarities])
    assert fitted.curve.rarities(scores) == pytest.approx(rarities)


def test_other_markets_are_off_by_a_factor_and_leave_the_rest_as_it_is() -> None:
    rows = reference_rows()
    moved = in_other_markets(rows, 3)
    factors = np.log(moved[:, 7] / rows[:, 7])
    assert np.array_equal(moved[:, :7], rows[:, :7])
    assert factors.std() == pytest.approx(MARKET_SPREAD, rel=0.05)
    assert np.array_equal(moved, in_other_markets(rows, 3))
