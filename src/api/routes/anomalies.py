"""The newest unusual transactions of the stream, read from the lake with delta-rs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock
from typing import Annotated, Any, TypeVar

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BeforeValidator

from api.errors import error_responses
from api.lake_reads import LakeReads
from api.schemas import Anomalies, Anomaly
from core.detector.explanation import explanation
from core.detector.rules import rules_of_row
from core.detector.verdict import FlaggedBy, Verdict
from core.lake import batches, sql_list, sql_time
from core.mutes import Mute, MutesReader, note_mutes
from core.open_tables import OpenTable, OpenTables
from core.tables import EVENT_AFTER
from core.transaction import COINBASE_SQL

TABLE = "scored_transactions"
MAX_ANOMALIES = 1_000
_DEFAULT_PERIOD = timedelta(days=1)
FIRST_TIME, LAST_TIME = datetime(2009, 1, 3, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Bitcoin's first day, and a time that is within the calendar in every time zone."""

Rows = TypeVar("Rows")


class ScoredTable:
    """The table of scored transactions, kept open between reads.

    `origin` is `live` or `simulated`: a lake of the other origin is refused. Another table of the
    lake, by its name, can be read in the same way.
    """

    def __init__(self, lake: str, origin: str, name: str = TABLE) -> None:
        self.lake, self.origin = lake, origin
        self._others = OpenTables(lake, origin)
        self._table = OpenTable(lake, name, origin)
        self._lock = Lock()

    def recent(
        self,
        since: datetime,
        minimum_score: float | None,
        limit: int,
        flagged_by: FlaggedBy | None = None,
        mutes: Sequence[Mute] = (),
    ) -> list[Anomaly]:
        """Read the newest first: those that were flagged, or those of at least `minimum_score`.

        With `flagged_by` only those that exactly this flagged. Of `mutes`, those in force, each
        names the one that keeps it from being news.

        Empty while there is no table. Raises `OriginMismatchError` for a lake of the other origin,
        and `DeltaError` or `OSError` when it cannot be read.
        """
        earliest = min(max(since, FIRST_TIME), LAST_TIME).astimezone(UTC)
        chosen = _chosen(minimum_score, flagged_by)
        rows = self.read(partial(self._rows, chosen, earliest, limit, flagged_by))
        self.note_mutes(rows, mutes)
        return [anomaly(row) for row in rows]

    def read(self, rows: Callable[[DeltaTable | None], Rows]) -> Rows:
        """Call a function with the newest version of the table, None while there is none.

        Raises `OriginMismatchError` for a lake of the other origin, and `DeltaError` or `OSError`
        when it cannot be read.
        """
        try:
            return rows(self._updated())
        except (DeltaError, OSError):
            # Another table may be in its place, and then only opening it again helps.
            with self._lock:
                self._table.close()
            return rows(self._updated())

    def note_mutes(self, rows: Sequence[dict[str, Any]], mutes: Sequence[Mute]) -> None:
        """Name the mute that keeps each flagged row from being news; raises as `recent`."""
        note_mutes([row for row in rows if row["is_anomaly"]], mutes, self._others.ask)

    def rows_of(self, hashes: Collection[str]) -> dict[str, dict[str, Any]]:
        """The rows of these hashes, each 64 hexadecimal digits, by hash; raises as `recent`.

        Days are read from the newest on until all are found: marks are made of what is new.
        """
        table = self._updated()
        days = {each["date"] for each in table.partitions()} if table is not None else set()
        found: dict[str, dict[str, Any]] = {}
        for day in sorted(days, reverse=True):
            missing = set(hashes) - found.keys()
            if table is None or not missing:
                break
            where = f"date = DATE '{day}' AND hash IN {sql_list(missing)}"
            for row in _read(f"SELECT * FROM scored WHERE {where}", table):
                found.setdefault(row["hash"], row)
        return found

    @staticmethod
    def _rows(
        chosen: str,
        earliest: datetime,
        limit: int,
        flagged_by: FlaggedBy | None,
        table: DeltaTable | None,
    ) -> list[dict[str, Any]]:
        """The newest rows of a condition, read in two steps.

        The first finds how far back they lie, from few columns. To sort whole rows of days would
        take half of the memory that the container has.
        """
        if table is None:
            return []
        if flagged_by and all(field.name != "flagged_by" for field in table.schema().fields):
            return []  # of an earlier release, and the stream has not added the column yet
        where = _since(earliest, chosen)
        newest = f"SELECT event_time FROM scored WHERE {where} ORDER BY 1 DESC LIMIT {limit}"
        times = [row["event_time"] for row in _read(newest, table)]
        if len(times) == limit:
            where = _since(times[-1], chosen)
        rows = f"SELECT * FROM scored WHERE {where} ORDER BY event_time DESC, hash LIMIT {limit}"
        return _read(rows, table)

    def _updated(self) -> DeltaTable | None:
        with self._lock:
            return self._table.newest()


def _read(sql: str, table: DeltaTable) -> list[dict[str, Any]]:
    return [row for batch in batches(sql, scored=table) for row in batch.to_pylist()]


def _chosen(minimum_score: float | None, flagged_by: FlaggedBy | None) -> str:
    """The condition of what is asked for; a coinbase is never flagged, whatever its score."""
    chosen = "is_anomaly"
    if minimum_score is not None:
        chosen = f"anomaly_score >= {minimum_score!r} AND NOT {COINBASE_SQL}"
    return chosen if flagged_by is None else f"{chosen} AND flagged_by = '{flagged_by}'"


def _since(earliest: datetime, chosen: str) -> str:
    """The condition of rows from a time on; its date skips the files of days without a match."""
    day = f"date >= DATE '{earliest - EVENT_AFTER:%Y-%m-%d}'"
    return f"{day} AND event_time >= {sql_time(earliest)} AND {chosen}"


def anomaly(row: Mapping[str, Any]) -> Anomaly:
    """A row of `scored_transactions` as an answer has it."""
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
        explanation=explanation(verdict, rules_of_row(row)),
        percentile=verdict.percentile,
        threshold=verdict.threshold,
        pattern=verdict.pattern,
        patterns=list(verdict.patterns),
        reasons=row["reasons"],
        model_version=verdict.model_version,
        flagged_by=verdict.flagged_by,
        market_fee_rate=verdict.market_fee_rate,
        package_fee_rate=verdict.package_fee_rate,
        replaced_fee=verdict.replaced_fee,
        muted_by=row.get("muted_by"),
    )


def refuse_bare_number(text: str) -> str:
    """Refuse a bare number, which pydantic would read as Unix seconds or milliseconds."""
    if "T" not in text.upper() and " " not in text:
        raise ValueError("a date and a time are needed")
    return text


Limit = Annotated[int, Query(ge=1, le=MAX_ANOMALIES, description="Most transactions to return")]
Since = Annotated[
    Annotated[AwareDatetime, BeforeValidator(refuse_bare_number)] | None,
    Query(description="Earliest event time, ISO 8601 with its offset; by default a day ago"),
]
MinimumScore = Annotated[
    float | None,
    Query(
        ge=0,
        le=1,
        description="Least score, from 0 to 1, of payments; by default those that were flagged",
    ),
]
By = Annotated[
    FlaggedBy | None,
    Query(description="What flagged it: the model alone, a rule alone, or both; by default any"),
]


def add_anomaly_routes(router: APIRouter, scored: ScoredTable, mutes: MutesReader) -> None:
    """Add the route."""
    reads = LakeReads("lake")

    def recent(
        since: datetime, minimum_score: float | None, limit: int, flagged_by: FlaggedBy | None
    ) -> list[Anomaly]:
        return scored.recent(since, minimum_score, limit, flagged_by, mutes.in_force())

    @router.get(
        "/anomalies/recent", responses=error_responses(401, 422, 500, 503), tags=["anomalies"]
    )
    async def recent_anomalies(
        limit: Limit = 50,
        since: Since = None,
        minimum_score: MinimumScore = None,
        flagged_by: By = None,
    ) -> Anomalies:
        """List the newest unusual transactions of the stream, from the lake."""
        earliest = since or datetime.now(UTC) - _DEFAULT_PERIOD
        anomalies = await reads.run(recent, earliest, minimum_score, limit, flagged_by)
        return {"anomalies": anomalies}
