"""Wild rows: those that a training leaves out, because they are what its model is to find.

A few anomalies among the rows of a training hide all others of their kind: the scale stretches to
them, trees isolate them among themselves, and the threshold rises above them. So a training first
sets the farthest rows aside, learns a small forest from the rest, and leaves out for good those
that this forest finds so far out that a sample of that size would hardly have one. It repeats this
with what is left, since the first forest has learned from all rows (the concentration step of
robust estimation: Rousseeuw, Van Driessen, "A fast algorithm for the minimum covariance determinant
estimator", 1999).

At most `MOST_WILD` of the rows are left out. What more of them have in common is traffic.
"""

import numpy as np
from numpy.typing import NDArray

from core.features import Floats
from model.flag_budget import MOST_WILD
from model.pipeline import FittedForest, ForestShape
from model.rarity_curve import wild_from
from model.reference_traffic import in_other_markets, reference_rows

_ROUNDS = 3
_TREES, _SUB_SAMPLE = 50, 4_096
_LEARNED_ROWS = 20_000
"""The most rows that the small forest learns from."""


def wild_rows(rows: Floats) -> NDArray[np.bool_]:
    """Which of the rows, shape (n, 8), are wild; shape (n,)."""
    found = np.zeros(len(rows), np.bool_)
    for turn in range(_ROUNDS):
        doubtful = _farthest(_small_forest(rows[~found], 2 * turn), rows)
        forest = _small_forest(rows[~doubtful], 2 * turn + 1)
        bound = wild_from(forest.curve, len(rows))
        before, found = found, doubtful & (forest.scores(rows) >= bound)
        if np.array_equal(before, found):
            break
    return found


def _farthest(forest: FittedForest, rows: Floats) -> NDArray[np.bool_]:
    """The share `MOST_WILD` of the rows that score highest."""
    farthest = np.zeros(len(rows), np.bool_)
    farthest[np.argsort(-forest.scores(rows), kind="stable")[: int(MOST_WILD * len(rows))]] = True
    return farthest


def _small_forest(rows: Floats, seed: int) -> FittedForest:
    """A forest of these rows and the reference, each beside other markets."""
    learned = np.concatenate([rows[:_LEARNED_ROWS], reference_rows()])
    return FittedForest.fit(in_other_markets(learned, seed), ForestShape(_TREES, _SUB_SAMPLE, seed))
