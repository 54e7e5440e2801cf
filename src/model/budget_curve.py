"""What other budgets would flag and find, for whoever thinks of another one.

The threshold follows from the budget, so a threshold is proposed by its budget.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

import numpy as np

from core.detector.injected_anomalies import KINDS
from core.features import Floats

BUDGETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
"""Shares of ordinary traffic, from one in ten thousand to one in twenty."""


class BudgetPoint(TypedDict):
    """A budget, its threshold in 0..1, and the recall there, in 0..1: the mean and the weakest."""

    budget: float
    threshold: float
    recall: float
    weakest_kind: str
    weakest_recall: float


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
    return [_point(budget, threshold, scores) for budget, threshold in thresholds.items()]


def _point(budget: float, threshold: float, scores: Mapping[str, Floats]) -> BudgetPoint:
    recalls = {name: float((each >= threshold).mean()) for name, each in scores.items()}
    weakest = min(recalls, key=recalls.__getitem__)
    return {
        "budget": budget,
        "threshold": threshold,
        "recall": float(np.mean(list(recalls.values()))),
        "weakest_kind": weakest,
        "weakest_recall": recalls[weakest],
    }
