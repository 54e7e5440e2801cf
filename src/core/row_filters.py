"""Filters of scored transactions, and what they are as SQL conditions on `scored_transactions`.

The dashboard and the API have them under the same names. Every value in a condition is a number, or
text whose quotes are doubled.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow.compute as pc

from core.tables import EVENT_AFTER
from core.transaction import COINBASE_FIELDS, is_coinbase

PRESETS = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
"""The ranges that end now, by their name in a URL."""

CUSTOM = "custom"
"""The name of a range between two times."""

NO_PATTERN = "none"
"""The filter's name for a transaction without a known pattern."""


@dataclass(frozen=True)
class RowFilters:
    """What somebody asks for: satoshi, sat/vB and UTC times; None is no bound.

    `range` is one of `PRESETS` or `CUSTOM`, from `start` to `end`. `times_min` and `times_max` are
    bounds of the fee rate in multiples of the market's. With a `threshold` everything is flagged as
    if it had applied to all; without one as it was, each by the threshold of its model's version.
    `hash` is the beginning of one.
    """

    range: str = "1h"
    start: datetime | None = None
    end: datetime | None = None
    threshold: float | None = None
    value_min: int | None = None
    value_max: int | None = None
    fee_rate_min: float | None = None
    fee_rate_max: float | None = None
    times_min: float | None = None
    times_max: float | None = None
    inputs_min: int | None = None
    inputs_max: int | None = None
    outputs_min: int | None = None
    outputs_max: int | None = None
    pattern: tuple[str, ...] = ()
    flagged: bool = False
    flagged_by: tuple[str, ...] = ()
    hash: str = ""

    @property
    def only_flagged(self) -> bool:
        """Whether only flagged transactions are shown."""
        return self.flagged or bool(self.flagged_by)

    def interval(self, now: datetime) -> tuple[datetime, datetime]:
        """First and last event time, both included."""
        if self.range == CUSTOM:
            end = min(self.end or now, now)
            return min(self.start or end - timedelta(days=1), end), end
        return now - PRESETS[self.range], now + EVENT_AFTER


IS_COINBASE = str(is_coinbase(**{name: pc.field(name) for name in COINBASE_FIELDS})).replace(
    "==", "="
)
"""Arrow writes its expression in words that SQL shares, but for the equals sign."""

TIMES_MARKET = "fee_rate / market_fee_rate"
"""The fee rate in multiples of the market's; null where the market is not known."""

BY_RULE = "coalesce(flagged_by IN ('rule', 'both'), FALSE)"
"""Rows that a rule flags."""

BY_MODEL_ALONE = f"(is_anomaly AND NOT {BY_RULE})"
"""Rows that the model alone has flagged, by the threshold of its version."""

MARGIN = "anomaly_score - threshold"
"""How far a score lies above the threshold of its model's version."""

ORDER_KEYS = {
    "score": f"CASE WHEN {IS_COINBASE} THEN -2.0 ELSE {MARGIN} + 2 * CAST({BY_RULE} AS INT) END",
    "newest": "event_time",
    "value": "output_value",
    "fee_rate": "fee_rate",
    "times": f"coalesce({TIMES_MARKET}, -1.0)",
}
"""What the table is sorted by for each of the dashboard's orders, the largest first.

The most unusual have the largest margin, since scores of different models are not comparable; but
first comes what a rule flags, and last a coinbase transaction, which is never flagged.
"""


def passing_condition(filters: RowFilters) -> str:
    """Rows that pass every filter but the time range, `flagged` and `flagged_by`.

    >>> passing_condition(RowFilters(value_min=5000, pattern=("none",)))
    'output_value >= 5000 AND (pattern IS NULL)'
    """
    bounds = {
        "output_value >=": filters.value_min,
        "output_value <=": filters.value_max,
        "fee_rate >=": filters.fee_rate_min,
        "fee_rate <=": filters.fee_rate_max,
        f"{TIMES_MARKET} >=": filters.times_min,
        f"{TIMES_MARKET} <=": filters.times_max,
        "inputs_count >=": filters.inputs_min,
        "inputs_count <=": filters.inputs_max,
        "outputs_count >=": filters.outputs_min,
        "outputs_count <=": filters.outputs_max,
    }
    conditions = [f"{side} {bound!r}" for side, bound in bounds.items() if bound is not None]
    if filters.pattern:
        conditions.append(f"({' OR '.join(map(_has_pattern, filters.pattern))})")
    if filters.hash:
        conditions.append(f"starts_with(hash, {sql_text(filters.hash)})")
    return " AND ".join(conditions) or "TRUE"


def flagged_condition(filters: RowFilters) -> str:
    """Rows that are anomalies: by the viewer's threshold, without one as they were scored.

    A rule flags whatever the threshold is. With `flagged_by` only those count that the model, a
    rule or both flag.

    >>> flagged_condition(RowFilters())
    'is_anomaly'
    """
    model = _model_condition(filters.threshold)
    if not filters.flagged_by:
        return "is_anomaly" if filters.threshold is None else f"({model} OR {BY_RULE})"
    wanted = {
        "model": f"{model} AND NOT {BY_RULE}",
        "rule": f"{BY_RULE} AND NOT {model}",
        "both": f"{model} AND {BY_RULE}",
    }
    return "(" + " OR ".join(f"({wanted[each]})" for each in filters.flagged_by) + ")"


def flagged_by_column(filters: RowFilters) -> str:
    """Which of the model and the rules flags a row: `model`, `rule`, `both` or null."""
    model = _model_condition(filters.threshold)
    return (
        f"CASE WHEN {model} AND {BY_RULE} THEN 'both' WHEN {model} THEN 'model'"
        f" WHEN {BY_RULE} THEN 'rule' END"
    )


def _model_condition(threshold: float | None) -> str:
    """Rows that the model flags; those of earlier versions, without `flagged_by`, are all its."""
    if threshold is None:
        return "(is_anomaly AND coalesce(flagged_by <> 'rule', TRUE))"
    return f"(anomaly_score >= {threshold!r} AND NOT {IS_COINBASE})"


def _has_pattern(name: str) -> str:
    """Rows that have a pattern; those of earlier versions have the most telling alone."""
    if name == NO_PATTERN:
        return "pattern IS NULL"
    return f"coalesce(array_has(patterns, {sql_text(name)}), pattern = {sql_text(name)})"


def sql_text(value: str) -> str:
    """Any text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"
