"""Verdicts on many rows as an Arrow table, built from whole columns, never row by row.

Separate from `core/detector/champion.py` because that must be importable without Arrow.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.detector.calibration import Calibration
from core.detector.patterns import PATTERNS, Shape, fitting_patterns
from core.detector.rules import RULES_VERSION, fee_step, flagged_by_rules
from core.detector.verdict import LEAST_SHARE, MOST_REASONS
from core.effective_fee import in_package
from core.feature_table import NAMES
from core.features import Floats, usual_beside
from core.tables import REASON, VERDICT
from core.transaction import (
    DETECTOR_FIELDS,
    MARKET_FEE_RATE,
    NUMERIC_FIELDS,
    PACKAGE_FEE_RATE,
    PATTERN_FACTS,
    REPLACED_FEE,
)


def shape_of(table: pa.Table | pa.RecordBatch) -> Shape:
    """The columns that patterns use; a fact that is null or missing is unknown.

    Raises `KeyError` when a numeric field is missing.
    """
    present, rows = set(table.schema.names), table.num_rows
    protocols = table.column("coinjoin") if "coinjoin" in present else pa.nulls(rows)
    facts = [protocols.cast(pa.string()).to_numpy(zero_copy_only=False)]
    unknown = np.full(rows, np.nan)
    facts += [_column(table, n) if n in present else unknown for n in PATTERN_FACTS[1:]]
    return Shape(*(_column(table, name) for name in NUMERIC_FIELDS), *facts)


def numbers_of_table(table: pa.Table | pa.RecordBatch) -> Floats:
    """The columns `DETECTOR_FIELDS` as floats, shape (n, 8); raises `KeyError` without one.

    Rows with a `package_fee_rate` have the fee that it asks of them.
    """
    numbers = np.column_stack([_column(table, name) for name in DETECTOR_FIELDS])
    if PACKAGE_FEE_RATE in table.schema.names:
        numbers = in_package(numbers, _column(table, PACKAGE_FEE_RATE))
    return numbers


def fee_steps_of(table: pa.Table | pa.RecordBatch) -> Floats:
    """By how many times the fee of each row exceeds its `replaced_fee`; NaN without one."""
    if REPLACED_FEE not in table.schema.names:
        return np.full(table.num_rows, np.nan)
    steps: Floats = fee_step(_column(table, "fee"), _column(table, REPLACED_FEE))
    return steps


def judged_beside(table: pa.Table | pa.RecordBatch) -> dict[str, Any]:
    """The columns of `VERDICT` that say what each row was judged beside; null where missing."""
    rows = table.num_rows
    return {
        name: table.column(name) if name in table.schema.names else pa.nulls(rows, field.type)
        for name in (MARKET_FEE_RATE, PACKAGE_FEE_RATE, REPLACED_FEE)
        for field in [VERDICT.field(name)]
    }


def _column(table: pa.Table | pa.RecordBatch, name: str) -> Floats:
    column = table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(column, dtype=np.float64)


def reason_lists(
    explained: NDArray[np.bool_], parts: Floats, measured: Floats, usual: Floats, market: Floats
) -> pa.ListArray:
    """A list of reasons for each row, the most important first; empty where not `explained`.

    `parts` and `measured` have one row per explained row and one column per feature: by how many
    splits the feature shortens the path, and its measure. `usual` has each feature's usual range
    as `Calibration.usual` has it, shape (len(FEATURES), 2); `market` has one entry per explained
    row.
    """
    order = np.argsort(-parts, axis=1, kind="stable")[:, :MOST_REASONS]
    best = np.take_along_axis(parts, order, axis=1)
    chosen = best > np.maximum(LEAST_SHARE * best[:, :1], 0.0)
    counts = np.zeros(len(explained), np.int32)
    counts[explained] = chosen.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    feature = order[chosen]
    low, high = usual_beside(feature, usual, np.broadcast_to(market[:, None], order.shape)[chosen])
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
    by_model: NDArray[np.bool_],
    by_rule: NDArray[np.bool_],
    reasons: pa.ListArray,
    beside: dict[str, Any],
) -> pa.Table:
    """The columns of `VERDICT`; all arguments but the first two have one entry per row.

    `beside` is from `judged_beside`.
    """
    columns = {
        "anomaly_score": scores,
        "percentile": calibration.percentiles(scores),
        "threshold": np.full(len(scores), calibration.threshold),
        "is_anomaly": by_model | by_rule,
        **pattern_columns(shape),
        "reasons": reasons,
        "model_version": pa.repeat(version, len(scores)),
        "flagged_by": flaggers(by_model, by_rule),
        **beside,
    }
    return pa.table(columns, schema=VERDICT)


def pattern_columns(shape: Shape) -> dict[str, pa.Array]:
    """The columns `patterns`, a list of names for each row, and `pattern`, its first or null."""
    fitting = fitting_patterns(shape)
    names = pa.array([pattern.name for pattern in PATTERNS])
    offsets = np.concatenate([[0], fitting.sum(axis=1).cumsum()]).astype(np.int32)
    every = pa.DictionaryArray.from_arrays(pa.array(np.nonzero(fitting)[1]), names)
    lists = pa.ListArray.from_arrays(pa.array(offsets), every.cast(pa.string()))
    index = pa.array(fitting.argmax(axis=1), mask=~fitting.any(axis=1))
    first = pa.DictionaryArray.from_arrays(index, names)
    return {"pattern": first.cast(pa.string()), "patterns": lists}


def flaggers(by_model: NDArray[np.bool_], by_rule: NDArray[np.bool_]) -> pa.Array:
    """What flags each row: "model", "rule", "both" or null."""
    which = pa.array(by_model.astype(np.int8) + 2 * by_rule.astype(np.int8))
    names = pa.array([None, "model", "rule", "both"], pa.string())
    return pa.DictionaryArray.from_arrays(which, names).dictionary_decode()


def rules_table(table: pa.Table | pa.RecordBatch) -> pa.Table:
    """The verdicts by rules alone, columns `VERDICT`: no score, no reasons, no threshold."""
    shape, numbers = shape_of(table), numbers_of_table(table)
    by_rule, rows = flagged_by_rules(numbers, fee_steps_of(table)), len(numbers)
    columns = {
        "anomaly_score": np.zeros(rows),
        "percentile": np.zeros(rows),
        "threshold": np.ones(rows),
        "is_anomaly": by_rule,
        **pattern_columns(shape),
        "reasons": pa.array([[]] * rows, VERDICT.field("reasons").type),
        "model_version": pa.repeat(RULES_VERSION, rows),
        "flagged_by": flaggers(np.zeros_like(by_rule), by_rule),
        **judged_beside(table),
    }
    return pa.table(columns, schema=VERDICT)
