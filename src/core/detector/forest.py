"""A fitted Isolation Forest as flat arrays, scored by one compiled loop, bit-equal to scikit-learn.

scikit-learn compares a float32 feature with a float64 threshold. A threshold rounded *down* to
float32 gives the same result for every float32 feature, so float32 is enough. The two children of a
node are stored next to each other. A leaf is a node whose threshold is infinite and whose left
child is itself, so the loop has no branch. Depths are added in the order of the trees, as
scikit-learn does, since the order changes a floating-point sum.

Liu, Ting, Zhou: Isolation Forest, ICDM 2008: score = 2^(-E[h] / c), higher is more unusual.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.compiled import compiled

Indices = NDArray[np.uint32]
Nodes = NDArray[np.void]

NODE = np.dtype([("threshold", np.float32), ("place", np.uint32)])
"""A node as the loop reads it: the threshold, and the column and left child in one integer."""

PLACE_BITS = np.uint32(5)
"""The bits of `place` for the compared column; the higher bits hold the left child's index."""

COLUMN = np.uint32(2**PLACE_BITS - 1)
"""The mask of these bits."""

_BLOCK = 256
"""Rows that walk down a tree together, while the tree is in the processor's cache."""


@dataclass(frozen=True)
class Forest:
    """The nodes of all trees, tree after tree; all arrays but `roots` and `depths` are per node.

    `path` is a leaf's path length in splits: its depth, plus the average path length of a tree of
    the training rows that reached it. `rows` is how many training rows reached the node.
    `normaliser` is trees x c(sub-sample). Indices are unsigned, so that the compiled loop does not
    check for negative ones.
    """

    roots: Indices
    depths: NDArray[np.int32]
    nodes: Nodes
    path: NDArray[np.float64]
    rows: NDArray[np.int64]
    normaliser: float

    def path_lengths(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Path lengths summed over the trees, in splits; shape (n,)."""
        out = np.zeros(len(features))
        rows = np.ascontiguousarray(features, dtype=np.float32)
        _walk(self.roots, self.depths, self.nodes, self.path, rows, out)
        return out

    def scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The anomaly score in 0..1, higher is more unusual; shape (n,)."""
        return self.scores_of(self.path_lengths(features))

    def scores_of(self, depths: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """The anomaly scores of path lengths summed over the trees, for an array or one number.

        NumPy computes one number too, because Python's power may differ in the last bit.
        """
        if self.normaliser == 0:
            return np.full(np.shape(depths), 0.5)
        scores: NDArray[np.float64] = np.power(2.0, -depths / self.normaliser)
        return scores


@compiled
def child_of(node: Any, rows: NDArray[np.float32], i: int) -> np.uint32:
    """The index of the node that row i goes to from `node`; a leaf's is the leaf itself."""
    right = np.uint32(rows[i, node.place & COLUMN] > node.threshold)
    child: np.uint32 = (node.place >> PLACE_BITS) + right
    return child


@compiled
def _walk(
    roots: Indices,
    depths: NDArray[np.int32],
    nodes: Nodes,
    path: NDArray[np.float64],
    rows: NDArray[np.float32],
    out: NDArray[np.float64],
) -> None:
    at = np.empty(_BLOCK, np.uint32)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        n = len(block)
        for tree in range(len(roots)):
            at[:n] = roots[tree]
            for _ in range(depths[tree]):
                for i in range(n):
                    at[i] = child_of(nodes[at[i]], block, i)
            for i in range(n):
                out[start + i] += path[at[i]]


def flatten(isolation_forest: Any) -> Forest:
    """Flatten a fitted `sklearn.ensemble.IsolationForest` that uses all features in each tree.

    Raises `ValueError` for one that draws features (`max_features` below 1), and for one too large
    for `NODE`: more than 32 columns, or 134 million nodes.
    """
    fitted = isolation_forest
    if fitted._max_features != fitted.n_features_in_:
        raise ValueError("a forest that draws features for each tree is not supported")
    trees = [estimator.tree_ for estimator in fitted.estimators_]
    order = [_children_together(tree) for tree in trees]
    roots = np.cumsum([0] + [tree.node_count for tree in trees[:-1]])
    return Forest(
        roots=roots.astype(np.uint32),
        depths=np.array([tree.max_depth for tree in trees], np.int32),
        nodes=_nodes(trees, order, roots),
        path=_path(fitted, order),
        rows=_joined([tree.n_node_samples for tree in trees], order).astype(np.int64),
        normaliser=float(len(trees) * _average_path_length(fitted._max_samples)),
    )


def _children_together(tree: Any) -> NDArray[np.int64]:
    """The nodes in an order where each node's children follow each other, the root first."""
    order = [0]
    for node in order:
        if tree.children_left[node] != -1:
            order += [tree.children_left[node], tree.children_right[node]]
    return np.array(order)


def _joined(parts: Sequence[Any], order: Sequence[NDArray[np.int64]]) -> NDArray[Any]:
    return np.concatenate([np.asarray(p)[o] for p, o in zip(parts, order, strict=True)])


def _nodes(
    trees: Sequence[Any], order: Sequence[NDArray[np.int64]], roots: NDArray[np.int64]
) -> Nodes:
    column = np.maximum(_joined([tree.feature for tree in trees], order), 0)
    left = _left(trees, order, roots)
    if column.max() > COLUMN or left.max() >= 2 ** (32 - int(PLACE_BITS)):
        raise ValueError(f"a forest of {len(left)} nodes and {column.max() + 1} columns is too big")
    nodes = np.empty(len(left), NODE)
    nodes["threshold"] = _threshold(trees, order)
    nodes["place"] = left << int(PLACE_BITS) | column
    return nodes


def _threshold(trees: Sequence[Any], order: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
    exact = _joined([tree.threshold for tree in trees], order)
    rounded = exact.astype(np.float32)
    down = np.where(rounded > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    leaf = _joined([tree.children_left for tree in trees], order) == -1
    return np.where(leaf, np.float32(np.inf), down).astype(np.float32)


def _left(
    trees: Sequence[Any], order: Sequence[NDArray[np.int64]], roots: NDArray[np.int64]
) -> NDArray[np.int64]:
    lefts = []
    for tree, nodes, root in zip(trees, order, roots, strict=True):
        place = np.empty(len(nodes), np.int64)
        place[nodes] = np.arange(len(nodes))
        child = tree.children_left[nodes]
        lefts.append(root + np.where(child == -1, np.arange(len(nodes)), place[child]))
    return np.concatenate(lefts)


def _path(fitted: Any, order: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    depth: NDArray[np.float64] = _joined(fitted._decision_path_lengths, order)
    beyond: NDArray[np.float64] = _joined(fitted._average_path_length_per_tree, order)
    return depth + beyond - 1.0


def _average_path_length(rows: int) -> float:
    """c(n): the mean path length of an unsuccessful search in a tree of n rows; in splits."""
    if rows <= 2:
        return float(max(rows - 1, 0))
    return float(2.0 * (np.log(rows - 1.0) + np.euler_gamma) - 2.0 * (rows - 1.0) / rows)
