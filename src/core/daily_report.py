"""The report of one day, read from the lake and the casework tables.

A day is a UTC day of Kafka's append time, by which the tables are partitioned, so that only its
files are read. Rows are read some thousand at a time, and only ten of them are kept.
"""

import heapq
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from core.casework import CaseworkStore
from core.daily_drift import DailyDrift, ModelInUse, daily_drift
from core.detector.explanation import explanation
from core.detector.rules import rules_of_row
from core.detector.verdict import Verdict
from core.lake import batches, open_table, sql_time
from core.severity import SEVERITIES, rank, severity

MOST_LISTED = 10
LEAST_GAP = timedelta(minutes=5)
"""A time without any transaction is a gap from here on: at 5.5 a second none lasts a minute."""

PRECISION_DAYS = 30
"""Marks of so many days count, up to the end of the reported one."""

FIRST_DAY, LAST_DAY = date(2009, 1, 3), date(2200, 1, 1)


@dataclass(frozen=True)
class TopFlag:
    """One of the most severe flags."""

    hash: Annotated[str, Field(description="Its hash")]
    severity: Annotated[str, Field(description="Its severity: low, medium, high or critical")]
    anomaly_score: Annotated[float, Field(description="Its score, from 0 to 1")]
    threshold: Annotated[float, Field(description="Score from which on it is flagged")]
    output_value: Annotated[int, Field(description="What it sends, in satoshi")]
    fee: Annotated[int, Field(description="Its fee, in satoshi")]
    patterns: Annotated[list[str], Field(description="Known shapes, the most telling first")]
    explanation: Annotated[str, Field(description="The verdict in sentences")]


@dataclass(frozen=True)
class Gap:
    """A time in which no transaction arrived."""

    start: Annotated[datetime, Field(description="The end of the last minute with transactions")]
    end: Annotated[datetime, Field(description="The begin of the next minute with transactions")]


@dataclass(frozen=True)
class DailyReport:
    """What a day brought."""

    day: Annotated[date, Field(description="The day, in UTC")]
    transactions: Annotated[int, Field(description="Transactions that arrived")]
    scored: Annotated[int, Field(description="Those of them that have a score")]
    flagged: Annotated[int, Field(description="Those of them that are flagged")]
    transactions_before: Annotated[int, Field(description="Transactions of the day before")]
    flagged_before: Annotated[int, Field(description="Flagged ones of the day before")]
    by_severity: Annotated[dict[str, int], Field(description="Flags by severity")]
    by_what: Annotated[dict[str, int], Field(description="Flags by model, rule or both")]
    by_pattern: Annotated[dict[str, int], Field(description="Flags by pattern; one may have two")]
    model_versions: Annotated[dict[str, int], Field(description="Scored ones by model version")]
    top: Annotated[list[TopFlag], Field(description="The most severe flags, ten at most")]
    cases_opened: Annotated[int, Field(description="Cases that began")]
    cases_closed: Annotated[int, Field(description="Cases that people closed")]
    marked: Annotated[
        dict[str, int],
        Field(description=f"Flags by people's newest mark, of {PRECISION_DAYS} days"),
    ]
    precision: Annotated[
        float | None, Field(description="Share of useful ones among the marked, or null")
    ]
    market_median: Annotated[
        float | None, Field(description="Middle of the going fee rates, in sat/vB, or null")
    ]
    market_before: Annotated[float | None, Field(description="The same of the day before, or null")]
    drift: Annotated[
        DailyDrift, Field(description="How far its traffic lies from what the model learned")
    ]
    quarantined: Annotated[dict[str, int], Field(description="Refused records by topic")]
    unscored: Annotated[int, Field(description="Transactions without a score")]
    gaps: Annotated[
        list[Gap], Field(description="Five minutes or more without any transaction, ten at most")
    ]

    def as_json(self) -> dict[str, Any]:
        """The report as JSON has it, with ISO 8601 times."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self), default=_iso))
        return content


def daily_report(
    lake: str, casework: CaseworkStore, day: date, model: ModelInUse | str
) -> DailyReport:
    """Compute the report of a day from 2009 to 2200; a table that does not exist has no rows.

    Drift is measured from `model`, which may instead be a sentence that says why there is none.
    Raises `ValueError` for another day, `core.lake.OriginMismatchError` for a lake of the other
    origin, and `DeltaError` or `OSError` where a table cannot be read.
    """
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"a day is from {FIRST_DAY} to {LAST_DAY}")
    tables = _Tables(lake, casework)
    before = day - timedelta(days=1)
    rows = tables.counts("raw_transactions", day)
    scored = tables.counts("scored_transactions", day)
    flags = _Flags(tables, day)
    marked = _marked(tables, day)
    useful, judged = marked.get("useful", 0), sum(marked.values())
    return DailyReport(
        day=day,
        transactions=rows,
        scored=scored,
        flagged=sum(flags.by_what.values()),
        transactions_before=tables.counts("raw_transactions", before),
        flagged_before=tables.counts("scored_transactions", before, "is_anomaly"),
        by_severity={name: flags.by_severity[name] for name in reversed(SEVERITIES)},
        by_what=dict(flags.by_what),
        by_pattern=dict(flags.by_pattern.most_common()),
        model_versions=_model_versions(tables, day),
        top=flags.top(),
        cases_opened=_opened(tables, day),
        cases_closed=_closed(tables, day),
        marked=marked,
        precision=useful / judged if judged else None,
        market_median=_market(tables, day),
        market_before=_market(tables, before),
        drift=daily_drift(lake, casework.origin, day, model),
        quarantined=_quarantined(tables, day),
        unscored=max(rows - scored, 0),
        gaps=_gaps(tables, day),
    )


class _Tables:
    """Queries of the lake's and the casework's tables; one that does not exist has no rows."""

    def __init__(self, lake: str, casework: CaseworkStore) -> None:
        self._lake, self._casework = lake, casework

    def rows(self, table: str, sql: str) -> Any:
        """The rows of a query as they are read; `sql` names one table."""
        root = self._lake
        if table in ("case_members", "case_events", "marks"):
            root = self._casework.root
        opened = open_table(root, table, self._casework.origin)
        if opened is None:
            return
        for batch in batches(sql, **{table: opened}):
            yield from batch.to_pylist()

    def counts(self, table: str, day: date, where: str = "TRUE") -> int:
        """How many rows of a day a table of the lake has."""
        sql = f"SELECT COUNT(*) AS n FROM {table} WHERE {_on(day)} AND {where}"
        return sum(int(row["n"]) for row in self.rows(table, sql))


class _Flags:
    """The flags of a day: counted, and the most severe kept."""

    def __init__(self, tables: _Tables, day: date) -> None:
        self.by_severity: Counter[str] = Counter()
        self.by_what: Counter[str] = Counter()
        self.by_pattern: Counter[str] = Counter()
        self._heap: list[tuple[tuple[int, float, str], dict[str, Any]]] = []
        sql = f"SELECT * FROM scored_transactions WHERE {_on(day)} AND is_anomaly"
        for row in tables.rows("scored_transactions", sql):
            self._add(row)

    def _add(self, row: dict[str, Any]) -> None:
        verdict = Verdict.from_row(row)
        its = severity(row)
        self.by_severity[its] += 1
        self.by_what[row.get("flagged_by") or "model"] += 1
        self.by_pattern.update(verdict.patterns)
        margin = verdict.anomaly_score - verdict.threshold
        place = rank(its), 0.0 if math.isnan(margin) else margin, str(row["hash"])
        if len(self._heap) < MOST_LISTED:
            heapq.heappush(self._heap, (place, row))
        elif place > self._heap[0][0]:
            heapq.heapreplace(self._heap, (place, row))

    def top(self) -> list[TopFlag]:
        """The most severe flags, those farthest above their threshold first."""
        ordered = sorted(self._heap, key=lambda kept: kept[0], reverse=True)
        return [_top_flag(row) for _, row in ordered]


def _top_flag(row: Mapping[str, Any]) -> TopFlag:
    verdict = Verdict.from_row(row)
    return TopFlag(
        hash=row["hash"],
        severity=severity(row),
        anomaly_score=verdict.anomaly_score,
        threshold=verdict.threshold,
        output_value=row["output_value"],
        fee=row["fee"],
        patterns=list(verdict.patterns),
        explanation=explanation(verdict, rules_of_row(row)),
    )


def _model_versions(tables: _Tables, day: date) -> dict[str, int]:
    sql = (
        f"SELECT model_version, COUNT(*) AS n FROM scored_transactions WHERE {_on(day)}"
        " GROUP BY model_version ORDER BY n DESC LIMIT 20"
    )
    return {row["model_version"]: row["n"] for row in tables.rows("scored_transactions", sql)}


def _opened(tables: _Tables, day: date) -> int:
    sql = (
        "SELECT COUNT(*) AS n FROM (SELECT number FROM case_members GROUP BY number"
        f" HAVING MIN(joined_at) >= {_midnight(day)}"
        f" AND MIN(joined_at) < {_midnight(day + timedelta(days=1))})"
    )
    return sum(row["n"] for row in tables.rows("case_members", sql))


def _closed(tables: _Tables, day: date) -> int:
    sql = (
        "SELECT COUNT(DISTINCT number) AS n FROM case_events WHERE action = 'closed'"
        f" AND at >= {_midnight(day)} AND at < {_midnight(day + timedelta(days=1))}"
    )
    return sum(row["n"] for row in tables.rows("case_events", sql))


def _marked(tables: _Tables, day: date) -> dict[str, int]:
    """How many flags have each mark, by the newest mark of each; withdrawn ones left out.

    A transaction that nothing flagged can be marked too, and does not count (`core.marks`).
    """
    end = day + timedelta(days=1)
    sql = (
        "SELECT mark, COUNT(*) AS n FROM (SELECT mark, flagged_by,"
        " row_number() OVER (PARTITION BY hash ORDER BY marked_at DESC, id DESC) AS place"
        f" FROM marks WHERE marked_at >= {_midnight(end - timedelta(days=PRECISION_DAYS))}"
        f" AND marked_at < {_midnight(end)}) WHERE place = 1 AND flagged_by IS NOT NULL"
        " AND mark IN ('useful', 'not_useful', 'known') GROUP BY mark ORDER BY mark"
    )
    return {row["mark"]: row["n"] for row in tables.rows("marks", sql)}


def _market(tables: _Tables, day: date) -> float | None:
    sql = f"SELECT MEDIAN(fee_rate) AS rate FROM market WHERE {_on(day)}"
    rates = [row["rate"] for row in tables.rows("market", sql)]
    return rates[0] if rates else None


def _quarantined(tables: _Tables, day: date) -> dict[str, int]:
    sql = (
        f"SELECT topic, COUNT(*) AS n FROM quarantine WHERE {_on(day)}"
        " GROUP BY topic ORDER BY topic LIMIT 20"
    )
    return {row["topic"]: row["n"] for row in tables.rows("quarantine", sql)}


def _gaps(tables: _Tables, day: date) -> list[Gap]:
    """The longest gaps between two minutes with transactions, at most ten, in order of time.

    Before the first and after the last transaction there is none: the stack may not have run.
    """
    sql = (
        "SELECT earlier, minute FROM (SELECT minute, LAG(minute) OVER (ORDER BY minute) AS earlier"
        f" FROM market WHERE {_on(day)}) WHERE earlier IS NOT NULL ORDER BY minute"
    )
    minute = timedelta(minutes=1)
    gaps = [
        Gap(row["earlier"] + minute, row["minute"])
        for row in tables.rows("market", sql)
        if row["minute"] - row["earlier"] - minute >= LEAST_GAP
    ]
    longest = heapq.nlargest(MOST_LISTED, gaps, key=lambda gap: gap.end - gap.start)
    return sorted(longest, key=lambda gap: gap.start)


def _on(day: date) -> str:
    return f"date = DATE '{day.isoformat()}'"


def _midnight(day: date) -> str:
    return sql_time(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _iso(value: Any) -> str:
    """Times and days for JSON; both have the method."""
    text: str = value.isoformat()
    return text
