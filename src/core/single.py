"""One transaction in one compiled call: its measures, its way through the forest, each one's part.

The same compiled functions as for many rows, so that the results are equal to the bit.
"""

import numpy as np
from numpy.typing import NDArray

from core.attribution import Attribution, descend_once
from core.compiled import compiled
from core.feature_table import FEATURES
from core.features import COLUMNS, Floats, credit_into, features_into, measures_into
from core.forest import Indices, Nodes


def judged(
    attribution: Attribution, tails: Floats, values: list[float]
) -> tuple[float, list[float], list[float]]:
    """The path length summed over the trees, each measure, and by how much it shortens the path.

    `values` are the seven numbers in the order of `NUMERIC_FIELDS`; `tails` fit `features`.
    """
    forest, out = attribution.forest, np.empty((2, 1, len(FEATURES)))
    depth = _judged(
        np.array([values]),
        tails,
        forest.roots,
        forest.depths,
        forest.nodes,
        attribution.step,
        forest.path,
        out,
    )
    (measured,), (parts,) = out.tolist()
    return depth, measured, parts


@compiled
def _judged(
    numbers: Floats,
    tails: Floats,
    roots: Indices,
    depths: NDArray[np.int32],
    nodes: Nodes,
    step: Floats,
    path: Floats,
    out: Floats,
) -> float:
    seen, changes = np.empty((1, COLUMNS)), np.zeros((1, COLUMNS))
    measures_into(numbers, out[0])
    features_into(numbers, tails, seen)
    depth = descend_once(roots, depths, nodes, step, path, seen.astype(np.float32), changes)
    credit_into(changes / -len(roots), seen, out[1])
    return depth
