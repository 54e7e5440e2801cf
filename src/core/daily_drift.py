"""How far a day's transactions lie from those that the model in use was trained on.

The index is that of `core/detector/drift.py`, the trainer's, and so are the conditions under which
it says anything: a whole day against whole days. The rows and their scores are those of
`scored_transactions`, so that nothing is scored again.
"""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.lake import batches, completed, open_table, rows
from core.transaction import DETECTOR_FIELDS, MARKET_FEE_RATE

if TYPE_CHECKING:
    from core.detector.calibration import Calibration

LARGE_CHANGE = 0.25
"""From this index on traffic has changed much: Siddiqi, Credit Risk Scorecards, 2006."""

MEASURED_ROWS = 20_000
"""About so many rows of the day are measured, drawn evenly."""


class ModelInUse(NamedTuple):
    """The champion's version, and what is known of the traffic that it was trained on."""

    version: str
    calibration: "Calibration"


@dataclass(frozen=True)
class DailyDrift:
    """The drift of a day, or why it is not known."""

    model_version: Annotated[
        str | None, Field(description="The model whose training the day is compared with, or null")
    ]
    indexes: Annotated[
        dict[str, float],
        Field(description="Population stability index by feature, the largest first"),
    ]
    limit: Annotated[
        float | None, Field(description="Index from which on a feature has drifted, or null")
    ]
    problem: Annotated[str | None, Field(description="Why the drift is not known, or null")]


def daily_drift(lake: str, origin: str, day: date, model: ModelInUse | str) -> DailyDrift:
    """Measure the drift of a day; for `model`, a sentence may say why there is none.

    Raises what `core.lake.open_table` and `core.lake.batches` raise.
    """
    if isinstance(model, str):
        return DailyDrift(None, {}, None, model)
    # Not at the top: it brings the compiler, which takes 130 MiB until the first report.
    from core.detector.drift import LEAST_ROWS, LEAST_SECONDS, SCORE, drift_indexes, drift_limit

    version, calibration = model
    bins, trained = calibration.facts.get("drift"), calibration.facts.get("covered_seconds", 0.0)
    if not bins:
        reason = f"version {version} does not say what traffic it was trained on"
        return DailyDrift(version, {}, None, reason)
    if trained < LEAST_SECONDS:
        reason = f"version {version} was trained on {_hours(trained)} of traffic, not on whole days"
        return DailyDrift(version, {}, None, reason)
    sample = _rows(lake, origin, day)
    count = len(sample.numbers)
    if count < LEAST_ROWS or sample.covered_seconds < LEAST_SECONDS:
        reason = (
            f"{count:,} scored transactions over {_hours(sample.covered_seconds)} are too few; "
            f"it takes {LEAST_ROWS:,} over {_hours(LEAST_SECONDS)}"
        )
        return DailyDrift(version, {}, None, reason)
    indexes = drift_indexes(bins, sample.numbers, sample.scores)
    if sample.versions != {version}:  # the scores of other models are on another scale
        indexes.pop(SCORE, None)
    ordered = sorted(indexes.items(), key=lambda item: -item[1])
    limit = drift_limit(calibration, count, sample.covered_seconds, LARGE_CHANGE)
    return DailyDrift(version, dict(ordered), limit, None)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours"


class _Rows(NamedTuple):
    """Rows of shape (n, 8), their scores, the versions that scored them, and their span."""

    numbers: NDArray[np.float64]
    scores: NDArray[np.float64]
    versions: set[str]
    covered_seconds: float


def _rows(lake: str, origin: str, day: date) -> _Rows:
    """About `MEASURED_ROWS` of a day, drawn evenly: those that were judged beside a market.

    Coinbase transactions are left out, as in a model's training.
    """
    from core.features import coinbase_rows

    columns = (*DETECTOR_FIELDS, "anomaly_score")
    parts, passed = [np.empty((0, len(columns)))], 0
    versions, covered = set(), 0.0
    table = open_table(lake, "scored_transactions", origin)
    if table is not None:
        where = f"date = DATE '{day.isoformat()}' AND {MARKET_FEE_RATE} IS NOT NULL"
        of_versions = (
            "SELECT model_version, COUNT(*) AS n, MIN(append_time) AS first, MAX(append_time)"
            f" AS last FROM scored_transactions WHERE {where} GROUP BY model_version"
        )
        found = rows(of_versions, scored_transactions=table)
        versions = {row["model_version"] for row in found}
        step = 1 + sum(row["n"] for row in found) // MEASURED_ROWS
        if found:
            span = max(row["last"] for row in found) - min(row["first"] for row in found)
            covered = span.total_seconds()
        sql = f"SELECT {', '.join(columns)} FROM scored_transactions WHERE {where}"
        sql = completed(sql, scored_transactions=table)
        for batch in batches(sql, scored_transactions=table):
            values = np.column_stack([column.to_numpy(zero_copy_only=False) for column in batch])
            parts.append(values[-passed % step :: step].astype(np.float64))
            passed += len(values)
    drawn = np.concatenate(parts)
    drawn = drawn[~coinbase_rows(drawn[:, : len(DETECTOR_FIELDS)])]
    return _Rows(drawn[:, :-1], drawn[:, -1], versions, covered)
