"""The detectors that `benchmarks/market.py` compares: each learns from rows, and flags others.

The project's keep what they learned. The rolling z-score and river's trees go on to learn from the
traffic that passes, as they are meant to.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from benchmarks.detection import BUDGET, forest_and_threshold
from benchmarks.samples import Floats
from numpy.typing import NDArray
from river.anomaly import HalfSpaceTrees

from core.detector.calibration import alert_threshold
from core.detector.rules import flagged_by_rules
from core.features import MARKET
from model.pipeline import FittedForest, ForestShape

Bools = NDArray[np.bool_]


class Detector(Protocol):
    """Has learned from rows of shape (n, 8)."""

    def flags(self, rows: Floats) -> Bools:
        """Which of the rows are flagged."""

    def learn(self, rows: Floats) -> None:
        """Take in rows that have passed."""


@dataclass(frozen=True)
class Settled:
    """Learns nothing more."""

    decide: Callable[[Floats], Bools]

    def flags(self, rows: Floats) -> Bools:
        """Which of the rows are flagged."""
        return self.decide(rows)

    def learn(self, rows: Floats) -> None:
        """Nothing is taken in."""


def ours(rows: Floats) -> Settled:
    """The model of this project."""
    score, threshold = forest_and_threshold(rows, rows)
    return Settled(lambda others: score(others) >= threshold)


def ours_with_rules(rows: Floats) -> Settled:
    """The model and the rules, whose flags use none of the budget."""
    by_model = ours(rows)
    return Settled(lambda others: by_model.flags(others) | flagged_by_rules(others))


def without_market(rows: Floats) -> Settled:
    """The design before: fees as they are, and a threshold read off the highest scores."""
    still = float(np.median(rows[:, MARKET]))
    fitted = FittedForest.fit(in_market(rows, still), ForestShape())
    threshold = alert_threshold(fitted.scores(in_market(rows, still)), BUDGET)
    return Settled(lambda others: fitted.scores(in_market(others, still)) >= threshold)


def times_the_rate(rows: Floats) -> Settled:
    """The rule of fee estimators: so many times the going rate that the budget is flagged."""
    times = alert_threshold(fee_rates(rows) / rows[:, MARKET], BUDGET)
    return Settled(lambda others: fee_rates(others) / others[:, MARKET] >= times)


class RollingZ:
    """The robust z-score of the fee rate's logarithm among the newest transactions."""

    NEWEST = 2_000

    def __init__(self, rows: Floats) -> None:
        self._newest = self._logarithms(rows[: self.NEWEST])
        scores = []
        for part in np.array_split(rows, 1 + len(rows) // 400):
            scores.append(self._scores(part))
            self.learn(part)
        self._threshold = alert_threshold(np.concatenate(scores), BUDGET)

    def flags(self, rows: Floats) -> Bools:
        """Which of the rows are flagged."""
        return self._scores(rows) >= self._threshold

    def learn(self, rows: Floats) -> None:
        """The newest rows take the place of the oldest."""
        self._newest = np.concatenate([self._newest, self._logarithms(rows)])[-self.NEWEST :]

    def _scores(self, rows: Floats) -> Floats:
        median = np.median(self._newest)
        spread = 1.4826 * float(np.median(np.abs(self._newest - median)))
        scores: Floats = np.abs(self._logarithms(rows) - median) / spread
        return scores

    @staticmethod
    def _logarithms(rows: Floats) -> Floats:
        logarithms: Floats = np.log(fee_rates(rows) + 0.01)
        return logarithms


class RiverTrees:
    """River's half-space trees with its own settings, on logarithms within the learned range."""

    def __init__(self, rows: Floats) -> None:
        values = self._values(rows)
        low, high = values.min(axis=0), values.max(axis=0)
        self._names = [str(number) for number in range(values.shape[1])]
        ranges = zip(low.tolist(), high.tolist(), strict=True)
        limits: dict[Hashable, tuple[float, float]] = dict(zip(self._names, ranges, strict=True))
        self._trees: Any = HalfSpaceTrees(limits=limits, seed=7)
        self.learn(rows)
        self._threshold = alert_threshold(self._scores(rows), BUDGET)

    def flags(self, rows: Floats) -> Bools:
        """Which of the rows are flagged."""
        return self._scores(rows) >= self._threshold

    def learn(self, rows: Floats) -> None:
        """Count the rows in the trees' windows."""
        for row in self._values(rows).tolist():
            self._trees.learn_one(dict(zip(self._names, row, strict=True)))

    def _scores(self, rows: Floats) -> Floats:
        named = (dict(zip(self._names, row, strict=True)) for row in self._values(rows).tolist())
        return np.array([self._trees.score_one(row) for row in named])

    @staticmethod
    def _values(rows: Floats) -> Floats:
        """Logarithms of the fee rate, and of all numbers but the fee and the market."""
        others = np.delete(rows, [2, MARKET], axis=1)
        values: Floats = np.log(np.column_stack([fee_rates(rows), others]) + 0.01)
        return values


def fee_rates(rows: Floats) -> Floats:
    """Fee rates in sat/vB."""
    rates: Floats = rows[:, 2] * 4 / rows[:, 1]
    return rates


def in_market(rows: Floats, rate: float) -> Floats:
    """The same rows beside one going rate."""
    moved = rows.copy()
    moved[:, MARKET] = rate
    return moved


DETECTORS: dict[str, Callable[[Floats], Detector]] = {
    "this project's model": ours,
    "the same with its rules": ours_with_rules,
    "such a forest without a market": without_market,
    "rolling robust z-score of the fee rate": RollingZ,
    "river's half-space trees": RiverTrees,
    "times the going rate": times_the_rate,
}
