"""Verdicts on many rows as an Arrow table, built from whole columns, never row by row.

Separate from `core/detector/champion.py` because that must be importable without Arrow.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.detector.calibration import Calibration
from core.detector.patterns import FACTS, Shape, patterns_of
from core.detector.verdict import LEAST_SHARE, MOST_REASONS
from core.feature_table import NAMES
from core.features import Floats
from core.tables import REASON, VERDICT
from core.transaction import NUMERIC_FIELDS


def shape_of(table: pa.Table | pa.RecordBatch) -> Shape:
    """The columns that patterns use, as float64 arrays; a null and a missing fact are NaN.

    Raises `KeyError` when a numeric field is missing.
    """
    unknown = np.full(table.num_rows, np.nan)
    present = set(table.schema.names)
    numbers = [_column(table, name) for name in NUMERIC_FIELDS]
    return Shape(*numbers, *(_column(table, n) if n in present else unknown for n in FACTS))


def _column(table: pa.Table | pa.RecordBatch, name: str) -> Floats:
    column = table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(column, dtype=np.float64)


def reason_lists(
    explained: NDArray[np.bool_], parts: Floats, measured: Floats, usual: Floats
) -> pa.ListArray:
    """A list of reasons for each row, the most important first; empty where not `explained`.

    `parts` and `measured` have one row per explained row and one column per feature: by how many
    splits the feature shortens the path, and its measure. `usual` has each feature's usual range,
    shape (len(FEATURES), 2).
    """
    order = np.argsort(-parts, axis=1, kind="stable")[:, :MOST_REASONS]
    best = np.take_along_axis(parts, order, axis=1)
    chosen = best > np.maximum(LEAST_SHARE * best[:, :1], 0.0)
    counts = np.zeros(len(explained), np.int32)
    counts[explained] = chosen.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    feature = order[chosen]
    low, high = usual[feature].T
    values = np.take_along_axis(measured, order, axis=1)[chosen]
    names = pa.DictionaryArray.from_arrays(pa.array(feature), pa.array(NAMES)).cast(pa.string())
    fields = [names, *(pa.array(column) for column in (values, low, high, best[chosen]))]
    reasons = pa.StructArray.from_arrays(fields, fields=list(REASON))
    return pa.ListArray.from_arrays(pa.array(offsets), reasons, type=pa.list_(REASON))


def verdict_table(
    version: str,
    calibration: Calibration,
    shape: Shape,
    scores: Floats,
    flagged: NDArray[np.bool_],
    reasons: pa.ListArray,
) -> pa.Table:
    """The columns of `VERDICT`; all arguments but the first two have one entry per row."""
    columns = {
        "anomaly_score": scores,
        "percentile": calibration.percentiles(scores),
        "threshold": np.full(len(scores), calibration.threshold),
        "is_anomaly": flagged,
        "pattern": pa.array(patterns_of(shape), pa.string()),
        "reasons": reasons,
        "model_version": pa.repeat(version, len(scores)),
    }
    return pa.table(columns, schema=VERDICT)
