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
from core.detector.forest import COLUMN, PLACE_BITS, Forest, Indices, Nodes, following

_BLOCK = 64
"""Rows that go down a tree one after another, while it is in the processor's cache."""

_TREES = 16
"""Trees that a single row goes down by turns."""


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
                child = following(nodes[node], rows, row)
                while child != node:
                    out[row, nodes[node].place & COLUMN] += step[child]
                    node, child = child, following(nodes[child], rows, row)


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
    """The path length of `row`, shape (1, k), summed over the trees; `out` is added to as rows are.

    It goes down several trees by turns, so that one node's way from memory hides behind another's;
    what it saw is then added in the order of `_descend`, to the same bits.
    """
    seen = np.empty((_TREES, depths.max() + 1), np.uint32)
    total = 0.0
    for start in range(0, len(roots), _TREES):
        some = min(_TREES, len(roots) - start)
        deepest = depths[start : start + some].max()
        seen[:some, 0] = roots[start : start + some]
        for depth in range(deepest):
            for tree in range(some):
                seen[tree, depth + 1] = following(nodes[seen[tree, depth]], row, 0)
        for tree in range(some):
            node = seen[tree, 0]
            for child in seen[tree, 1 : deepest + 1]:
                if child == node:
                    break
                out[0, nodes[node].place & COLUMN] += step[child]
                node = child
            total += path[node]
    return total


def attribution(forest: Forest) -> Attribution:
    """Prepare a forest's attribution: the expected path length below each node, and its steps."""
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
