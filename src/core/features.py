"""The only feature code: what a model sees of a transaction, from its seven numbers alone.

A *measure* is what a person reads, in its own unit (sat/vB, satoshi, ...). A *feature* is the
measure as the forest sees it: log10(measure + floor), so that no unit or currency level matters
and zero is far from the usual without being infinite. One compiled loop serves one row and a
million, the training pipeline and the stream: the results are the same to the bit.

>>> import numpy as np
>>> row = np.array([[250, 1000, 5000, 2, 2, 1_000_000, 995_000]])
>>> float(measures(row)[0, NAMES.index("fee_rate")])
20.0
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.compiled import compiled
from core.transaction import NUMERIC_FIELDS

Numbers = NDArray[np.integer[Any]] | NDArray[np.floating[Any]] | NDArray[np.number[Any]]
"""Shape (n, 7), the columns in the order of `NUMERIC_FIELDS`."""


@dataclass(frozen=True)
class Feature:
    """One feature: its name, the measure's words, formula and unit, and where it comes from.

    `floor` is added before the logarithm: far below the least usual value.
    """

    name: str
    words: str
    formula: str
    unit: str
    floor: float
    source: str


_FEE_SOURCE = "Bitcoin Core, policy/feerate.h; BIP 141 for virtual bytes"
_SIZE_SOURCE = "Bitcoin Optech, transaction size calculator: P2WPKH"

FEATURES = (
    Feature("fee_rate", "fee rate", "fee / (weight / 4)", "sat/vB", 0.01, _FEE_SOURCE),
    Feature("fee", "fee", "fee", "sat", 1.0, "Bitcoin Core, consensus/tx_verify.cpp"),
    Feature("fee_share", "fee in proportion", "fee / input_value", "share", 1e-8, _FEE_SOURCE),
    Feature("virtual_size", "size", "weight / 4", "vB", 1.0, "BIP 141"),
    Feature(
        "bulk",
        "size in proportion",
        "weight / (42 + 272 inputs_count + 124 outputs_count)",
        "times",
        0.01,
        _SIZE_SOURCE,
    ),
    Feature("inputs_count", "inputs", "inputs_count", "inputs", 1.0, "the specification"),
    Feature("outputs_count", "outputs", "outputs_count", "outputs", 1.0, "the specification"),
    Feature("mean_input", "mean input", "input_value / inputs_count", "sat", 1.0, "ratio"),
    Feature("mean_output", "mean output", "output_value / outputs_count", "sat", 1.0, "ratio"),
)
"""Every feature, in the order of the columns of `features` and `measures`."""

NAMES = tuple(feature.name for feature in FEATURES)

_FLOORS = tuple(feature.floor for feature in FEATURES)


@compiled
def _measure(row: NDArray[np.float64], out: NDArray[np.float64]) -> None:
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
def _measures(numbers: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    for i in range(len(numbers)):
        _measure(numbers[i], out[i])


@compiled
def _features(measured: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    for i in range(measured.shape[0]):
        for j in range(measured.shape[1]):
            out[i, j] = math.log10(measured[i, j] + _FLOORS[j])


def _contiguous(numbers: Any) -> NDArray[np.float64]:
    """One memory layout whatever comes (array, list, frame), so that one loop is compiled."""
    array = np.ascontiguousarray(numbers, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != len(NUMERIC_FIELDS):
        raise ValueError(f"expected shape (n, {len(NUMERIC_FIELDS)}), got {array.shape}")
    return array


def measures(numbers: Numbers) -> NDArray[np.float64]:
    """Each feature's measure, in the unit that a person reads: shape (n, len(FEATURES)).

    Raises `ValueError` for another number of columns than seven.
    """
    array = _contiguous(numbers)
    out = np.empty((len(array), len(FEATURES)))
    _measures(array, out)
    return out


def features(numbers: Numbers) -> NDArray[np.float64]:
    """The features, as the forest sees them: shape (n, len(FEATURES)), finite for any transaction.

    Raises `ValueError` for another number of columns than seven.
    """
    measured = measures(numbers)
    out = np.empty_like(measured)
    _features(measured, out)
    return out


def is_coinbase(numbers: Numbers) -> NDArray[np.bool_]:
    """Whether a row creates coins: it spends nothing, pays no fee and has outputs; shape (n,)."""
    columns = dict(zip(NUMERIC_FIELDS, np.asarray(numbers).T, strict=True))
    spends_nothing = (columns["input_value"] == 0) & (columns["fee"] == 0)
    mints: NDArray[np.bool_] = spends_nothing & (columns["output_value"] > 0)
    return mints
