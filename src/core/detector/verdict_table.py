"""Verdicts on many rows, as an Arrow table: built from whole columns, never row by row."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.detector.patterns import FACTS, Shape, patterns_of
from core.detector.verdict import LEAST_PART, MOST_REASONS
from core.features import NAMES, measures
from core.tables import REASON, VERDICT
from core.transaction import NUMERIC_FIELDS

if TYPE_CHECKING:
    from core.detector.champion import Champion, Explain


def verdict_table(
    champion: "Champion", table: pa.Table | pa.RecordBatch, explain: "Explain"
) -> pa.Table:
    """The columns of `VERDICT`, rows in the order of `table`; see `Champion.verdicts`."""
    numbers = np.column_stack([_numbers(table, name) for name in NUMERIC_FIELDS])
    scores = champion.scores(numbers)
    flagged = champion.flags(numbers, scores)
    told = {"all": np.ones_like(flagged), "flagged": flagged, "none": np.zeros_like(flagged)}
    n = len(scores)
    columns = {
        "anomaly_score": scores,
        "percentile": champion.calibration.percentiles(scores),
        "threshold": np.full(n, champion.threshold),
        "is_anomaly": flagged,
        "pattern": pa.array(patterns_of(_shape(table, numbers)), pa.string()),
        "reasons": _reasons(champion, numbers, told[explain]),
        "model_version": pa.repeat(champion.version, n),
    }
    return pa.table(columns, schema=VERDICT)


def _numbers(table: pa.Table | pa.RecordBatch, name: str) -> NDArray[np.float64]:
    """A column as float64; a null is NaN."""
    column = table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(column, dtype=np.float64)


def _shape(table: pa.Table | pa.RecordBatch, numbers: NDArray[np.float64]) -> Shape:
    unknown = np.full(len(numbers), np.nan)
    present = set(table.schema.names)
    facts = [_numbers(table, name) if name in present else unknown for name in FACTS]
    return Shape(*numbers.T, *facts)


def _reasons(
    champion: "Champion", numbers: NDArray[np.float64], told: NDArray[np.bool_]
) -> pa.ListArray:
    """A list of reasons for each row, empty where it is not to be told."""
    rows = numbers[told] if champion.fallback is None else numbers[:0]
    parts = champion.shortenings(rows)
    order = np.argsort(-parts, axis=1, kind="stable")[:, :MOST_REASONS]
    best = np.take_along_axis(parts, order, axis=1)
    kept = best > np.maximum(LEAST_PART * best[:, :1], 0.0)
    counts = np.zeros(len(numbers), np.int32)
    if champion.fallback is None:
        counts[told] = kept.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    measured = np.take_along_axis(measures(rows), order, axis=1)
    structs = _structs(champion, order[kept], measured[kept], best[kept])
    return pa.ListArray.from_arrays(pa.array(offsets), structs, type=pa.list_(REASON))


def _structs(
    champion: "Champion",
    feature: NDArray[np.int64],
    measured: NDArray[np.float64],
    parts: NDArray[np.float64],
) -> pa.StructArray:
    lows, highs = np.array([champion.calibration.usual[name] for name in NAMES]).T
    names = pa.DictionaryArray.from_arrays(pa.array(feature), pa.array(NAMES)).cast(pa.string())
    values = [pa.array(v) for v in (measured, lows[feature], highs[feature], parts)]
    return pa.StructArray.from_arrays([names, *values], fields=list(REASON))
