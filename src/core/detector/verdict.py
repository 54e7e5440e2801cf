"""What the champion says of one transaction, and why."""

from collections.abc import Mapping
from typing import Any, NamedTuple

MOST_REASONS = 3
"""Reasons told of one transaction, at the most."""

LEAST_PART = 0.1
"""Of the first reason's contribution: what contributes less is not worth a person's time."""


class Reason(NamedTuple):
    """One feature that makes a transaction unusual; the value and its usual range in its unit.

    `contribution` is by how many splits the feature shortens the mean path, above 0.
    """

    feature: str
    value: float
    usual_low: float
    usual_high: float
    contribution: float


class Verdict(NamedTuple):
    """A score and what follows from it.

    `anomaly_score` is in 0..1, higher is more unusual; `percentile` is the share of recent traffic,
    in 0..1, that scores no higher; `is_anomaly` is whether the score reaches the `threshold`.
    `pattern` names a known shape, anomalous or not. Unusual is not illicit.
    """

    anomaly_score: float
    percentile: float
    threshold: float
    is_anomaly: bool
    pattern: str | None
    reasons: tuple[Reason, ...]
    model_version: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Verdict":
        """Read one row of the columns `core.tables.VERDICT`; others are ignored."""
        facts = {name: row[name] for name in cls._fields if name != "reasons"}
        return cls(**facts, reasons=tuple(Reason(**reason) for reason in row["reasons"]))
