"""The only feature code: what a model sees of a transaction, from its seven numbers alone.

A *measure* is what a person reads, in its own unit (sat/vB, satoshi, ...). Its *rarity* says how
far out in recent traffic it lies, in decades of rows: 0 at the median, 2 where one in a hundred
goes further, 4 where one in 10,000 does; negative on the low side
(`core/detector/rarity_scale.py`). So no unit, currency or fee level matters, and zero is far out
without being infinite. The forest sees each measure's rarity, and how far out the rarest is, and
the two rarest together: without these a single wild fee among ordinary counts and amounts would be
found by one split in nine only.

One compiled loop serves one row and a million, training and the stream: equal to the bit.

>>> import numpy as np
>>> row = np.array([[250, 1000, 5000, 2, 2, 1_000_000, 995_000]])
>>> float(measures(row)[0, NAMES.index("fee_rate")])
20.0
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.compiled import compiled
from core.feature_table import FEATURES as FEATURES
from core.feature_table import NAMES as NAMES
from core.transaction import NUMERIC_FIELDS

Floats = NDArray[np.float64]
Numbers = NDArray[np.integer[Any]] | NDArray[np.floating[Any]] | NDArray[np.number[Any]]
"""Shape (n, 7), the columns in the order of `NUMERIC_FIELDS`."""


SUMMARIES = 6
"""How often each summary is repeated: a tree draws its columns evenly, so this is its weight."""

RARITIES = (0.0, 2.0, 2.5, 3.0, 3.5, 4.0)
"""The rarities whose place each model learns; straight lines between them and beyond."""

_WIDTH = len(FEATURES)
COLUMNS = _WIDTH + 2 * SUMMARIES
"""What the forest sees of a row."""

_FLOORS = tuple(feature.floor for feature in FEATURES)
_LN10 = math.log(10.0)
_KNOTS = len(RARITIES)


@compiled
def _measure(row: Floats, out: Floats) -> None:
    _size, weight, fee, inputs, outputs, input_value, output_value = row
    out[0] = fee * 4.0 / max(weight, 1.0)
    out[1] = fee
    out[2] = fee / max(input_value, 1.0)
    out[3] = weight / 4.0
    out[4] = weight / (42.0 + 272.0 * inputs + 124.0 * outputs)
    out[5] = inputs
    out[6] = outputs
    out[7] = input_value / max(inputs, 1.0)
    out[8] = output_value / max(outputs, 1.0)


@compiled
def measures_into(numbers: Floats, out: Floats) -> None:
    """Compiled `measures`."""
    for i in range(len(numbers)):
        _measure(numbers[i], out[i])


@compiled
def _rarity(level: float, side: Floats) -> float:
    """Rarity, 0 or more, of a level on one side of the median; `side` is one of `rarity_scale`."""
    far: float = abs(level - side[0])
    near = 0.0
    for k in range(1, _KNOTS):
        bound: float = side[k]
        if far <= bound:
            step = RARITIES[k] - RARITIES[k - 1]
            return RARITIES[k - 1] + step * (far - near) / (bound - near)
        near = bound
    spread: float = side[_KNOTS]
    return RARITIES[-1] + (far - near) / (spread * _LN10)


@compiled
def features_into(numbers: Floats, tails: Floats, out: Floats) -> None:
    """Compiled `features`."""
    row = np.empty(_WIDTH)
    for i in range(len(numbers)):
        _measure(numbers[i], row)
        first, second = 0.0, 0.0
        for j in range(_WIDTH):
            level = math.log10(row[j] + _FLOORS[j])
            if level >= tails[1, j, 0]:
                rarity = _rarity(level, tails[1, j])
                out[i, j] = rarity
            else:
                rarity = _rarity(level, tails[0, j])
                out[i, j] = -rarity
            second = max(second, min(first, rarity))
            first = max(first, rarity)
        for j in range(_WIDTH, COLUMNS, 2):
            out[i, j] = first
            out[i, j + 1] = first + second


@compiled
def credit_into(parts: Floats, features: Floats, out: Floats) -> None:
    """Compiled `credited`."""
    for i in range(len(parts)):
        first, second = 0, 1
        if abs(features[i, 1]) > abs(features[i, 0]):
            first, second = 1, 0
        for j in range(2, _WIDTH):
            if abs(features[i, j]) > abs(features[i, first]):
                first, second = j, first
            elif abs(features[i, j]) > abs(features[i, second]):
                second = j
        out[i] = parts[i, :_WIDTH]
        both = abs(features[i, first]) + abs(features[i, second])
        share = abs(features[i, first]) / both if both > 0.0 else 1.0
        for j in range(_WIDTH, COLUMNS, 2):
            out[i, first] += parts[i, j] + share * parts[i, j + 1]
            out[i, second] += (1.0 - share) * parts[i, j + 1]


def _contiguous(numbers: Any) -> Floats:
    """One memory layout whatever comes (array, list, frame), so that one loop is compiled."""
    array = np.ascontiguousarray(numbers, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != len(NUMERIC_FIELDS):
        raise ValueError(f"expected shape (n, {len(NUMERIC_FIELDS)}), got {array.shape}")
    return array


def measures(numbers: Numbers) -> Floats:
    """Each feature's measure, in the unit that a person reads: shape (n, len(FEATURES)).

    Raises `ValueError` for another number of columns than seven.
    """
    array = _contiguous(numbers)
    out = np.empty((len(array), _WIDTH))
    measures_into(array, out)
    return out


def levels(measured: Floats) -> Floats:
    """The logarithmic scale that rarity is counted on: log10(measure + floor), shape as given."""
    scale: Floats = np.log10(measured + np.array(_FLOORS))
    return scale


def features(numbers: Numbers, tails: Floats) -> Floats:
    """What the forest sees: rarities, then the summaries; finite for any transaction.

    Shape (n, COLUMNS). `tails` is what `core.detector.rarity_scale.tails` learned of recent
    traffic. Raises `ValueError` for another number of columns than seven, and for other tails.
    """
    array = _contiguous(numbers)
    if tails.shape != (2, _WIDTH, _KNOTS + 1):
        raise ValueError(f"tails of another version: shape {tails.shape}")
    out = np.empty((len(array), COLUMNS))
    features_into(array, np.ascontiguousarray(tails), out)
    return out


def credited(parts: Floats, features: Floats) -> Floats:
    """Put what is attributed to the summaries down to the measures that they are made of.

    Both of the shape of `features`; the result (n, len(FEATURES)) has the same sum in each row.
    """
    out = np.empty((len(parts), _WIDTH))
    credit_into(parts, features, out)
    return out


def is_coinbase(numbers: Numbers) -> NDArray[np.bool_]:
    """Whether a row creates coins: it spends nothing, pays no fee and has outputs; shape (n,)."""
    columns = dict(zip(NUMERIC_FIELDS, np.asarray(numbers).T, strict=True))
    spends_nothing = (columns["input_value"] == 0) & (columns["fee"] == 0)
    mints: NDArray[np.bool_] = spends_nothing & (columns["output_value"] > 0)
    return mints
