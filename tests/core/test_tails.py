"""Tails: what is learned of traffic, sane even when the traffic is not."""

import numpy as np
from numpy.typing import NDArray

from core.features import FEATURES, features, levels, measures
from core.tails import tails

Integers = NDArray[np.int64]


def test_the_quantiles_are_those_of_the_traffic(traffic: Integers) -> None:
    low, median, high, *_ = tails(traffic)
    scale = levels(measures(traffic))
    assert np.array_equal(median, np.median(scale, axis=0))
    assert ((scale < low).mean(axis=0) <= 0.0101).all()
    assert ((scale > high).mean(axis=0) <= 0.0101).all()


def test_a_pareto_tail_is_learned_by_its_mean_excess() -> None:
    rng = np.random.default_rng(0)
    rows = np.ones((200_000, 7))
    rows[:, 3] = 10.0 ** rng.exponential(0.4, len(rows))
    inputs = [feature.name for feature in FEATURES].index("inputs_count")
    assert abs(tails(rows)[4, inputs] - 0.4) < 0.02


def test_rows_of_one_value_give_finite_tails_and_features(traffic: Integers) -> None:
    learned = tails(np.repeat(traffic[:1], 2_000, axis=0))
    assert learned.shape == (5, len(FEATURES))
    assert np.isfinite(features(traffic[:1_000], learned)).all()
    assert np.abs(features(traffic[:1], learned)).max() == 0


def test_the_level_of_fees_makes_no_difference(traffic: Integers) -> None:
    dearer = traffic.copy()
    dearer[:, 2] *= 50
    rate = [feature.name for feature in FEATURES].index("fee_rate")
    before = features(traffic, tails(traffic))[:, rate]
    after = features(dearer, tails(dearer))[:, rate]
    assert np.abs(before - after).max() < 0.05
