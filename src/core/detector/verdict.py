"""The verdict on one transaction, its reasons, and the axis on which scores are shown."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

FlaggedBy = Literal["model", "rule", "both"]

MOST_REASONS = 3
"""The largest number of reasons of one verdict."""

LEAST_SHARE = 0.1
"""A feature is a reason when it contributes more than this share of what the first one does."""

SCORE_AXIS = tuple(percent / 100 for percent in range(30, 91))
"""Where scores are shown and counted: 0.3 to 0.9 in steps of 0.01; others count at the ends."""


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
    in 0..1, that scores no higher; `is_anomaly` is whether the score reaches the `threshold` or a
    rule flags it, and False for a coinbase transaction. `patterns` names the known shapes that it
    has, anomalous or not, the most telling first. `flagged_by` is "model", "rule", "both" or None.
    `market_fee_rate` is the going fee rate that it was judged beside, in sat/vB; None in rows of
    earlier versions. `package_fee_rate` is the effective fee rate of its package where it was
    judged by that, in sat/vB, and `replaced_fee` the fee of what it replaces, in satoshi.
    """

    anomaly_score: float
    percentile: float
    threshold: float
    is_anomaly: bool
    patterns: tuple[str, ...]
    reasons: tuple[Reason, ...]
    model_version: str
    flagged_by: FlaggedBy | None = None
    market_fee_rate: float | None = None
    package_fee_rate: float | None = None
    replaced_fee: int | None = None

    @property
    def pattern(self) -> str | None:
        """The most telling of its patterns, or None."""
        return self.patterns[0] if self.patterns else None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Verdict":
        """Read one row of the columns `core.tables.VERDICT`; other columns are ignored."""
        fields: dict[str, Any] = {name: row.get(name) for name in cls._fields}
        fields["patterns"] = row_patterns(row)
        fields["reasons"] = tuple(Reason(**reason) for reason in row["reasons"])
        return cls(**fields)


def row_patterns(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The patterns of a row of `core.tables.VERDICT`; earlier versions wrote the first alone.

    >>> row_patterns({"pattern": "dust", "patterns": None})
    ('dust',)
    """
    if row.get("patterns") is not None:
        return tuple(row["patterns"])
    return (row["pattern"],) if row.get("pattern") else ()
