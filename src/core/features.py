"""The features that a model computes from the seven numbers of a transaction and its market.

A *measure* is a quantity in its own unit (sat/vB, satoshi, ...). Its *rarity* says how far from the
median of recent traffic it lies, as a power of ten: 0 at the median, 2 where one row in 100 lies
further out, 4 where one in 10,000 does; negative below the median. `core/detector/rarity_scale.py`
learns that scale from traffic. Rarities have no unit, and a measure of zero is far out but finite.

A fee is high or low beside what others pay at that time. So the measures that depend on the level
of fees are divided by the going fee rate of their transaction's market first.

The forest sees the rarity of each measure and two summaries: the largest rarity, and the sum of the
two largest. Without the summaries only one split in ten could isolate a transaction with one
extreme fee among ordinary counts and amounts.

The same compiled loop computes one row and a million, at training and in the stream, so the results
are equal to the bit.

>>> import numpy as np
>>> row = np.array([[250, 1000, 5000, 2, 2, 1_000_000, 995_000, 15.5]])
>>> float(measures(row)[0, 0])  # the fee rate, in sat/vB
20.0
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.compiled import compiled
from core.feature_table import FEATURES
from core.transaction import DETECTOR_FIELDS, MARKET_FEE_RATE, is_coinbase

Floats = NDArray[np.float64]
Numbers = NDArray[np.integer[Any]] | NDArray[np.floating[Any]] | NDArray[np.number[Any]]
"""Shape (n, 8), the columns in the order of `DETECTOR_FIELDS`."""


SUMMARIES = 6
"""How often each summary is repeated: a tree draws its columns uniformly, so this is its weight."""

RARITIES = (0.0, 2.0, 2.5, 3.0, 3.5, 4.0)
"""The rarities that each model learns a distance for; interpolated between them and beyond."""

_WIDTH = len(FEATURES)
COLUMNS = _WIDTH + 2 * SUMMARIES
"""How many columns the forest sees."""

MARKET = DETECTOR_FIELDS.index(MARKET_FEE_RATE)
"""The column of the going fee rate."""

_FLOORS = tuple(feature.floor for feature in FEATURES)
_LN10 = math.log(10.0)
_KNOTS = len(RARITIES)
_BESIDE = tuple(feature.beside_market for feature in FEATURES)

LEAST_MARKET = 0.01
"""In sat/vB: a lower market counts as this, so that nothing is divided by zero."""


@compiled
def _measure(row: Floats, out: Floats) -> None:
    weight, fee, inputs, outputs, input_value, output_value = row[1:7]
    out[0] = fee * 4.0 / max(weight, 1.0)
    out[1] = fee
    out[2] = fee / max(input_value, 1.0)
    out[3] = weight / 4.0
    out[4] = weight / (42.0 + 272.0 * inputs + 124.0 * outputs)
    out[5] = inputs
    out[6] = outputs
    out[7] = min(inputs, outputs)
    out[8] = input_value / max(inputs, 1.0)
    out[9] = output_value / max(outputs, 1.0)


@compiled
def measures_into(numbers: Floats, out: Floats) -> None:
    """Compute `measures` of contiguous arrays; compiled."""
    for i in range(len(numbers)):
        _measure(numbers[i], out[i])


@compiled
def _rarity(level: float, side: Floats) -> float:
    """Rarity, 0 or more, of a level on one side of the median; `side` is a row of `tails`."""
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
    """Compute `features` of contiguous arrays; compiled."""
    row = np.empty(_WIDTH)
    for i in range(len(numbers)):
        _measure(numbers[i], row)
        market = max(numbers[i, MARKET], LEAST_MARKET)
        first, second = 0.0, 0.0
        for j in range(_WIDTH):
            measure = row[j] / market if _BESIDE[j] else row[j]
            level = math.log10(measure + _FLOORS[j])
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
    """Compute `credit_summaries`; compiled."""
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
    """One memory layout for any input (array, list, frame), so that one loop is compiled."""
    array = np.ascontiguousarray(numbers, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != len(DETECTOR_FIELDS):
        raise ValueError(f"expected shape (n, {len(DETECTOR_FIELDS)}), got {array.shape}")
    return array


def measures(numbers: Numbers) -> Floats:
    """Each feature's measure in its own unit: shape (n, len(FEATURES)).

    Raises `ValueError` for another number of columns than eight.
    """
    array = _contiguous(numbers)
    out = np.empty((len(array), _WIDTH))
    measures_into(array, out)
    return out


def market_measures(numbers: Numbers) -> Floats:
    """`measures`, with those that are `beside_market` divided by the going fee rate."""
    measured = measures(numbers)
    measured[:, np.array(_BESIDE)] /= market_of(numbers)[:, None]
    return measured


def market_of(numbers: Numbers) -> Floats:
    """The going fee rate that each row is measured against, in sat/vB; shape (n,)."""
    market: Floats = np.maximum(np.asarray(numbers, np.float64)[:, MARKET], LEAST_MARKET)
    return market


def usual_beside(
    feature: NDArray[np.integer[Any]], usual: Floats, market: Floats
) -> tuple[Floats, Floats]:
    """The usual range of features by index, beside a market: in the unit of their `measures`.

    `usual` has shape (len(FEATURES), 2), in the unit of `market_measures`; the others (n,).
    """
    factor = np.where(np.array(_BESIDE)[feature], market, 1.0)
    low, high = usual[feature].T
    return low * factor, high * factor


def levels(numbers: Numbers) -> Floats:
    """The scale that rarity is counted on: log10(`market_measures` + floor), shape the same."""
    scale: Floats = np.log10(market_measures(numbers) + np.array(_FLOORS))
    return scale


def features(numbers: Numbers, tails: Floats) -> Floats:
    """What the forest sees: rarities, then the summaries; finite for any transaction.

    Shape (n, COLUMNS). `tails` is the scale that `learn_rarity_scale` made of recent traffic.
    Raises `ValueError` for another number of columns than eight, and for a scale of another shape.
    """
    array = _contiguous(numbers)
    if tails.shape != (2, _WIDTH, _KNOTS + 1):
        raise ValueError(f"tails of another version: shape {tails.shape}")
    out = np.empty((len(array), COLUMNS))
    features_into(array, np.ascontiguousarray(tails), out)
    return out


def isolate(features: Floats, measure: NDArray[np.integer[Any]], rarity: Floats) -> Floats:
    """The same rows with the rarity of one measure replaced, and the summaries computed again.

    `features` has shape (n, COLUMNS), `measure` and `rarity` (n,): an index of `FEATURES`, and the
    new rarity, negative below the median.
    """
    out = features.copy()
    out[np.arange(len(out)), measure] = rarity
    ordered = np.sort(np.abs(out[:, :_WIDTH]), axis=1)
    out[:, _WIDTH::2] = ordered[:, -1:]
    out[:, _WIDTH + 1 :: 2] = ordered[:, -1:] + ordered[:, -2:-1]
    return out


def credit_summaries(parts: Floats, features: Floats) -> Floats:
    """Attribute the parts of the summaries to the measures that they are computed from.

    `parts` and `features` have shape (n, COLUMNS); the result has shape (n, len(FEATURES)) and the
    same sum in each row.
    """
    out = np.empty((len(parts), _WIDTH))
    credit_into(parts, features, out)
    return out


def coinbase_rows(numbers: Numbers) -> NDArray[np.bool_]:
    """Which rows are coinbase transactions; shape (n,)."""
    fee, inputs, _outputs, input_value, output_value = np.asarray(numbers).T[2:7]
    rows: NDArray[np.bool_] = is_coinbase(
        fee=fee, inputs_count=inputs, input_value=input_value, output_value=output_value
    )
    return rows
