"""The transactions that were flagged lately, read from the lake without a JVM."""

from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from deltalake import DeltaTable

from api.schemas import Anomaly
from core.detector.explanation import explanation
from core.detector.verdict import Verdict
from core.lake import open_table, query, sql_time
from core.tables import EVENT_AFTER

TABLE = "scored_transactions"
_FIRST, _LAST = datetime(2009, 1, 3, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Bitcoin's first day, and a time from which every zone's clock is still in the calendar."""


class Scored:
    """The table of scored transactions, kept open between reads."""

    def __init__(self, lake: str, origin: str) -> None:
        self.lake, self.origin = lake, origin
        self._table: DeltaTable | None = None
        self._lock = Lock()

    def recent(self, since: datetime, minimum_score: float | None, limit: int) -> list[Anomaly]:
        """The newest first: those that were flagged, or those of at least `minimum_score`.

        Empty while there is no table. Raises `OriginMismatchError` for a lake of the other origin,
        and `DeltaError` or `OSError` when it cannot be read.
        """
        table = self._newest()
        if table is None:
            return []
        rows = query(sql(since, minimum_score, limit), scored=table).to_pylist()
        return [_anomaly(row) for row in rows]

    def _newest(self) -> DeltaTable | None:
        with self._lock:
            if self._table is None:
                self._table = open_table(self.lake, TABLE, self.origin)
            else:
                self._table.update_incremental()
            return self._table


def sql(since: datetime, minimum_score: float | None, limit: int) -> str:
    """The question to the table; days that cannot matter are never read."""
    chosen = "is_anomaly" if minimum_score is None else f"anomaly_score >= {minimum_score!r}"
    moment = min(max(since, _FIRST), _LAST).astimezone(UTC)
    return (
        f"SELECT * FROM scored WHERE {chosen}"
        f" AND date >= DATE '{moment - EVENT_AFTER:%Y-%m-%d}'"
        f" AND event_time >= {sql_time(moment)}"
        f" ORDER BY event_time DESC, hash LIMIT {limit}"
    )


def _anomaly(row: Mapping[str, Any]) -> Anomaly:
    verdict = Verdict.from_row(row)
    return Anomaly(
        transaction_hash=row["hash"],
        event_time=row["event_time"],
        size=row["size"],
        weight=row["weight"],
        fee=row["fee"],
        inputs_count=row["inputs_count"],
        outputs_count=row["outputs_count"],
        input_value=row["input_value"],
        output_value=row["output_value"],
        fee_rate=row["fee_rate"],
        block_height=row["block_height"],
        anomaly_score=verdict.anomaly_score,
        is_anomaly=verdict.is_anomaly,
        explanation=explanation(verdict),
        percentile=verdict.percentile,
        threshold=verdict.threshold,
        pattern=verdict.pattern,
        reasons=row["reasons"],
        model_version=verdict.model_version,
    )
