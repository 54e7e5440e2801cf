"""Why a row is isolated early: each feature's part in its path length through the forest.

At every split the expected path length of a row changes, from the mean over the node's training
rows to the mean over the child's. The change is put down to the feature that splits; the parts and
the expectation at the roots add up to the path length. This is the decision-path attribution of
Saabas ("Interpreting random forests", 2014), applied to the path length of an Isolation Forest: a
walk down each tree, where Shapley values (Lundberg et al., 2020) weigh all paths.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.compiled import compiled
from core.forest import Forest, Nodes

_BLOCK = 64
"""Rows that go down a tree one after another, while it is in the processor's cache."""


@dataclass(frozen=True)
class Attribution:
    """What the walk adds at each node of a forest; made once by `attribution`.

    `expected` is the path length that a training row has on average, in splits per tree.
    """

    forest: Forest
    step: NDArray[np.float64]
    expected: float

    def shortenings(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much each feature shortens the mean path, in splits: shape as `features`.

        `expected` minus a row's sum is its mean path length.
        """
        rows = np.ascontiguousarray(features, dtype=np.float32)
        out = np.zeros(rows.shape)
        forest = self.forest
        _descend(forest.roots, forest.feature, forest.threshold, forest.left, self.step, rows, out)
        return out / -len(forest.roots)

    def once(self, features: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Path length, as `Forest.path_lengths`, and shortenings of one row, in a single walk.

        `features` has shape (1, k); the results equal those of many rows to the bit.
        """
        row = features.astype(np.float32)
        out = np.zeros(row.shape)
        f = self.forest
        depth = _descend_once(
            f.roots, f.feature, f.threshold, f.left, f.path, self.step, row[0], out[0]
        )
        return depth, out / -len(f.roots)


@compiled
def _descend_once(
    roots: Nodes,
    feature: Nodes,
    threshold: NDArray[np.float32],
    left: Nodes,
    path: NDArray[np.float64],
    step: NDArray[np.float64],
    row: NDArray[np.float32],
    out: NDArray[np.float64],
) -> float:
    depth = 0.0
    for root in roots:
        node = root
        while left[node] != node:
            split = feature[node]
            node = left[node] + np.uint32(row[split] > threshold[node])
            out[split] += step[node]
        depth += path[node]
    return depth


@compiled
def _descend(
    roots: Nodes,
    feature: Nodes,
    threshold: NDArray[np.float32],
    left: Nodes,
    step: NDArray[np.float64],
    rows: NDArray[np.float32],
    out: NDArray[np.float64],
) -> None:
    for start in range(0, len(rows), _BLOCK):
        for root in roots:
            for row in range(start, min(start + _BLOCK, len(rows))):
                node = root
                while left[node] != node:
                    split = feature[node]
                    node = left[node] + np.uint32(rows[row, split] > threshold[node])
                    out[row, split] += step[node]


def attribution(forest: Forest) -> Attribution:
    """Prepare a forest's attribution: the expected path length below each node, and its steps."""
    expected, parent = _expected(forest.left, forest.rows, forest.path)
    step = expected - expected[parent]
    return Attribution(forest, step, float(expected[forest.roots].mean()))


@compiled
def _expected(
    left: Nodes, rows: NDArray[np.int64], path: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    expected = path.copy()
    parent = np.arange(len(left))
    for node in range(len(left) - 1, -1, -1):  # children come after their parent
        child = left[node]
        if child != node:
            share = rows[child] / rows[node]
            expected[node] = share * expected[child] + (1.0 - share) * expected[child + 1]
            parent[child] = node
            parent[child + 1] = node
    return expected, parent
