"""What other budgets would flag and find, for whoever thinks of another one.

The threshold follows from the budget, so a threshold is proposed by its budget.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

import numpy as np

from core.detector.injected_anomalies import KINDS
from core.features import Floats
from model.real_transactions import mean_of_unusual, shares_flagged

BUDGETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
"""Shares of ordinary traffic, from one in ten thousand to one in twenty."""


class BudgetPoint(TypedDict):
    """A budget, its threshold, and what is found there; all but the kind's name in 0..1.

    `recall` is the mean over the kinds of injected anomaly and `weakest_recall` that of the weakest
    one; `real_recall` is the mean over the groups of real transactions that are unusual.
    """

    budget: float
    threshold: float
    recall: float
    weakest_kind: str
    weakest_recall: float
    real_recall: float


def budgets_beside(budget: float) -> Sequence[float]:
    """`BUDGETS` with the one that is set, ascending."""
    return sorted({*BUDGETS, budget})


def budget_curve(
    thresholds: Mapping[float, float],
    score: Callable[[Floats], Floats],
    injected: Mapping[str, Floats],
) -> list[BudgetPoint]:
    """A point for each budget of `thresholds`, by anomalies injected into ordinary rows, by kind.

    The kinds that are held out of every decision are left out here too.
    """
    kinds = [name for name in injected if not KINDS[name].held_out]
    scores = {name: score(injected[name]) for name in kinds}
    points: list[BudgetPoint] = []
    for budget, threshold in thresholds.items():
        recalls = {name: float((each >= threshold).mean()) for name, each in scores.items()}
        weakest = min(recalls, key=recalls.__getitem__)
        points.append(
            {
                "budget": budget,
                "threshold": threshold,
                "recall": float(np.mean(list(recalls.values()))),
                "weakest_kind": weakest,
                "weakest_recall": recalls[weakest],
                "real_recall": mean_of_unusual(shares_flagged(score, threshold)),
            }
        )
    return points
