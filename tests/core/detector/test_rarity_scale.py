"""Tails: what is learned of traffic, sane even when the traffic is not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.detector.rarity_scale import learn_rarity_scale
from core.feature_table import FEATURES, NAMES
from core.features import RARITIES, features, levels

Floats = NDArray[np.float64]
FEE = NAMES.index("fee")
INPUTS = NAMES.index("inputs_count")


def rarities_of_fees(fees: list[int], learned: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.ones((len(fees), 8))
    rows[:, 2] = fees
    return features(rows, learned)[:, FEE]


def test_a_rarity_says_how_many_rows_go_further(traffic: Floats) -> None:
    columns = features(traffic, learn_rarity_scale(traffic))[:, : len(FEATURES)]
    scale = levels(traffic)
    assert (columns[scale == np.median(scale, axis=0)] == 0).all()
    for rarity in RARITIES[1:-1]:
        further = rarity + 1e-12  # equal values on a bound differ from it by the last bit
        for beyond in ((columns > further).mean(axis=0), (columns < -further).mean(axis=0)):
            assert (beyond <= 1.01 * 10**-rarity).all(), rarity
            assert beyond.max() > 0.9 * 10**-rarity, rarity


def test_a_pareto_tail_is_learned_by_its_mean_excess() -> None:
    rng = np.random.default_rng(0)
    rows = np.ones((50_000, 8))
    rows[:, 3] = 10.0 ** (3 + rng.exponential(0.4, len(rows)))
    _low, high = learn_rarity_scale(rows)[:, INPUTS]
    assert high[1] == pytest.approx(0.4 * np.log(50), rel=0.03)
    assert high[-1] == pytest.approx(0.4, abs=0.06)


@pytest.mark.parametrize(("rows", "counted"), [(2_000, 1), (4_000, 2), (60_000, 4)])
def test_a_bound_is_counted_while_ten_rows_lie_beyond(
    rows: int, counted: int, traffic: Floats
) -> None:
    learned = learn_rarity_scale(traffic[:rows])
    steps, excess = np.diff(learned[:, :, 1:-1]), learned[:, :, -1:]
    extrapolated = np.isclose(steps, 0.5 * np.log(10) * excess)
    assert extrapolated[:, :, counted - 1 :].all()
    assert not extrapolated[:, :, : counted - 1].all(axis=(0, 1)).any()


@pytest.mark.parametrize("rows", [500, 2_000, 4_000])
def test_a_few_wild_rows_among_few_are_not_taken_for_rarer_than_they_are(rows: int) -> None:
    fees = np.random.default_rng(1).integers(1_000, 1_100, rows)
    fees[: rows // 400] = 10**8
    numbers = np.ones((rows, 8))
    numbers[:, 2] = fees
    rarity = rarities_of_fees([10**8], learn_rarity_scale(numbers))[0]
    assert 2.2 < rarity < np.log10(400) + 2


def test_what_lies_beyond_all_rows_is_rarer_than_any_of_them(traffic: Floats) -> None:
    few = traffic[:4_000]
    learned = learn_rarity_scale(few)
    most = int(few[:, 2].max())
    there, beyond = rarities_of_fees([most, 100 * most], learned)
    assert beyond > there + 1


def test_rows_of_one_value_give_finite_tails_and_features(traffic: Floats) -> None:
    learned = learn_rarity_scale(np.repeat(traffic[:1], 2_000, axis=0))
    assert learned.shape == (2, len(FEATURES), len(RARITIES) + 1)
    assert np.isfinite(features(traffic[:1_000], learned)).all()
    assert np.abs(features(traffic[:1], learned)).max() == 0


def test_tails_of_another_version_are_refused(traffic: Floats) -> None:
    with pytest.raises(ValueError, match=r"tails of another version: shape \(5, 9\)"):
        features(traffic[:1], np.ones((5, 9)))


def test_the_level_of_fees_makes_no_difference(traffic: Floats) -> None:
    some = traffic[:20_000]
    dearer = some.copy()
    dearer[:, 2] *= 50
    before, after = (features(rows, learn_rarity_scale(rows))[:, 0] for rows in (some, dearer))
    assert np.abs(before - after).max() < 0.05
