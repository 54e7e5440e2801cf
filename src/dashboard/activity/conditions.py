"""The filters as SQL conditions on `scored_transactions`, the same as `queries` has for columns.

Every value in them is a number, or text whose quotes are doubled.
"""

import pyarrow.compute as pc

from core.transaction import COINBASE_FIELDS, is_coinbase
from dashboard.activity.filters import NO_PATTERN, Filters

IS_COINBASE = str(is_coinbase(**{name: pc.field(name) for name in COINBASE_FIELDS})).replace(
    "==", "="
)
"""Arrow writes its expression in words that SQL shares, but for the equals sign."""


def passing_condition(filters: Filters) -> str:
    """Rows that pass every filter but the time range and `flagged`.

    >>> passing_condition(Filters(value_min=5000, pattern=("none",)))
    'output_value >= 5000 AND (pattern IS NULL)'
    """
    bounds = {
        "output_value >=": filters.value_min,
        "output_value <=": filters.value_max,
        "fee_rate >=": filters.fee_rate_min,
        "fee_rate <=": filters.fee_rate_max,
        "inputs_count >=": filters.inputs_min,
        "inputs_count <=": filters.inputs_max,
        "outputs_count >=": filters.outputs_min,
        "outputs_count <=": filters.outputs_max,
    }
    conditions = [f"{side} {bound!r}" for side, bound in bounds.items() if bound is not None]
    if filters.pattern:
        conditions.append(f"({' OR '.join(map(_has_pattern, filters.pattern))})")
    if filters.hash:
        conditions.append(f"starts_with(hash, {_text(filters.hash)})")
    return " AND ".join(conditions) or "TRUE"


def flagged_condition(filters: Filters) -> str:
    """Rows that are anomalies: by the viewer's threshold, without one as they were scored.

    >>> flagged_condition(Filters())
    'is_anomaly'
    """
    if filters.threshold is None:
        return "is_anomaly"
    return f"(anomaly_score >= {filters.threshold!r} AND NOT {IS_COINBASE})"


def _has_pattern(name: str) -> str:
    return "pattern IS NULL" if name == NO_PATTERN else f"pattern = {_text(name)}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
