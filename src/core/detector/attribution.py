"""Attribution: each feature's part in the path length of a row, which its score is made of.

At every split the expected path length of a row changes, from the mean over the node's training
rows to the mean over the child's. The change is attributed to the feature that splits. The parts
and the expectation at the roots add up to the path length. This is the decision-path attribution of
Saabas ("Interpreting random forests", 2014), applied to the path length of an Isolation Forest. It
costs one walk down each tree, where Shapley values (Lundberg et al., 2020) weigh all paths.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.compiled import compiled
from core.detector.forest import COLUMN, PLACE_BITS, Forest, Indices, Nodes, child_of

_BLOCK = 64
"""Rows that walk down a tree one after another, while the tree is in the processor's cache."""

_TREES = 16
"""Trees that a single row walks down in turns."""


@dataclass(frozen=True)
class Attribution:
    """The change of the expected path length at each node of a forest; made by `attribution`.

    `step` is that change, per node, in splits. `expected` is the mean path length of the training
    rows, in splits per tree.
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
        _descend(self.forest.roots, self.forest.nodes, self.step, rows, out)
        return out / -len(self.forest.roots)


@compiled
def _descend(
    roots: Indices,
    nodes: Nodes,
    step: NDArray[np.float64],
    rows: NDArray[np.float32],
    out: NDArray[np.float64],
) -> None:
    for start in range(0, len(rows), _BLOCK):
        for root in roots:
            for row in range(start, min(start + _BLOCK, len(rows))):
                node = root
                child = child_of(nodes[node], rows, row)
                while child != node:
                    out[row, nodes[node].place & COLUMN] += step[child]
                    node, child = child, child_of(nodes[child], rows, row)


@compiled
def descend_once(
    roots: Indices,
    depths: NDArray[np.int32],
    nodes: Nodes,
    step: NDArray[np.float64],
    path: NDArray[np.float64],
    row: NDArray[np.float32],
    out: NDArray[np.float64],
) -> float:
    """The path length of `row`, shape (1, k), summed over the trees; its parts are added to `out`.

    The row walks down several trees in turns, so that the memory accesses overlap. The parts are
    added in the same order as in `_descend`, so that the sums are equal to the bit.
    """
    visited = np.empty((_TREES, depths.max() + 1), np.uint32)
    total = 0.0
    for start in range(0, len(roots), _TREES):
        some = min(_TREES, len(roots) - start)
        deepest = depths[start : start + some].max()
        visited[:some, 0] = roots[start : start + some]
        for depth in range(deepest):
            for tree in range(some):
                visited[tree, depth + 1] = child_of(nodes[visited[tree, depth]], row, 0)
        for tree in range(some):
            node = visited[tree, 0]
            for child in visited[tree, 1 : deepest + 1]:
                if child == node:
                    break
                out[0, nodes[node].place & COLUMN] += step[child]
                node = child
            total += path[node]
    return total


def attribution(forest: Forest) -> Attribution:
    """Compute the expected path length at each node of a forest, and its change at each split."""
    left = forest.nodes["place"] >> PLACE_BITS
    expected, parent = _expected(left, forest.rows, forest.path)
    step = expected - expected[parent]
    return Attribution(forest, step, float(expected[forest.roots].mean()))


@compiled
def _expected(
    left: Indices, rows: NDArray[np.int64], path: NDArray[np.float64]
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
