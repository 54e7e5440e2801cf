import numpy as np
from tests.model.test_evaluation import INJECTED, by_fee

from core.detector.injected_anomalies import KINDS
from model.budget_curve import BUDGETS, budget_curve, budgets_beside


def test_a_point_has_the_mean_and_the_weakest_of_the_kinds_that_are_not_held_out() -> None:
    middle = float(np.median(INJECTED["zero_fee"][:, 2])) + 1
    (point,) = budget_curve({0.001: middle}, by_fee, INJECTED)
    recalls = {
        name: float((rows[:, 2] >= middle).mean())
        for name, rows in INJECTED.items()
        if not KINDS[name].held_out
    }
    assert point["budget"] == 0.001 and point["threshold"] == middle
    assert point["recall"] == np.mean(list(recalls.values()))
    assert point["weakest_recall"] == min(recalls.values()) == recalls[point["weakest_kind"]]


def test_a_lower_threshold_finds_no_less() -> None:
    points = budget_curve({0.01: 0.0, 0.001: 1e4, 0.0001: 1e18}, by_fee, INJECTED)
    assert [point["recall"] for point in points][::2] == [1.0, 0.0]
    assert [point["real_recall"] for point in points][::2] == [1.0, 0.0]
    assert points[1]["recall"] > 0 and points[1]["real_recall"] > 0


def test_the_budget_that_is_set_is_among_the_others_once() -> None:
    assert budgets_beside(0.001) == list(BUDGETS)
    assert budgets_beside(0.003) == sorted([*BUDGETS, 0.003])
