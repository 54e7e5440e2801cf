"""Summaries of `scored_transactions`, one partition at a time, computed by the query engine.

Twenty million rows do not fit in memory. What the page draws of them does: counts by time, fee
rate and score, and a few thousand rows.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.detector.verdict import row_patterns
from core.lake import sql_time
from dashboard.lake.rows import SELECTED_COLUMNS
from dashboard.lake.sources import Lake

RATE_STEPS = 50
"""Bins of the fee rate's natural logarithm: each is 2 % wide."""

LEAST_RATE = 0.001
"""Fee rates below this, in sat/vB, are counted as this."""

SCORE_STEPS = 1_000
"""Bins of the score: one for each position of the threshold's slider."""

SAMPLED_ROWS = 600
"""About so many rows of a partition are kept for the scatter."""

MOST_KEPT = 20_000
"""Most rows of a partition that are kept; more only where very many have the same value."""

SCORED = "scored_transactions"

Ask = Callable[[str, str, str], pa.Table]
"""Answers a query of a partition: what is selected, a condition, and what follows it."""


@dataclass(frozen=True)
class Partition:
    """The files of one day of append time; None is an event time that the log does not say."""

    day: date
    files: frozenset[str]
    first: datetime | None
    last: datetime | None

    def overlaps(self, start: datetime, end: datetime) -> bool:
        """Whether it can hold rows of a range of event time, both ends included."""
        return not (self.first and self.first > end) and not (self.last and self.last < start)

    def lies_in(self, start: datetime, end: datetime) -> bool:
        """Whether all of its rows are in a range of event time."""
        return bool(self.first and self.last and start <= self.first and self.last <= end)


@dataclass(frozen=True)
class Question:
    """What is summarised: conditions in SQL, the key of the table's order, and the time bins.

    `then` is what the model alone flagged as it was scored, and `margin` how far a score lies above
    the threshold of its version. `base` is the width of a time bin in
    microseconds; `top` is how many rows the table shows and `marked` how many anomalies the scatter
    shows, at most. `outlying` rows of each end of fee rates and values are kept. `muted` are the
    flagged rows that the table may leave out, empty where there are none.
    """

    passing: str
    flagged: str
    coinbase: str
    by_rule: str
    then: str
    margin: str
    only_flagged: bool
    order: str
    base: int
    top: int
    marked: int
    outlying: int
    muted: str = ""

    @property
    def marked_rows(self) -> str:
        """The condition of the rows that pass and are flagged."""
        return f"{self.passing} AND {self.flagged}"

    @property
    def shown(self) -> str:
        """The condition of the rows that are drawn, where the tiles count all that pass."""
        return self.marked_rows if self.only_flagged else self.passing


@dataclass(frozen=True)
class PartitionSummary:
    """Counts of the rows of one partition, and the rows that may be drawn.

    `patterns` has how many of the flagged have each, and None those without; one may have several.
    `rates` has columns bin, rate, flagged, count; `scores` score, margin, flagged, coinbase,
    by_rule, then, count. `champions` has the microsecond at which each model version scored first.
    `kept` has `SELECTED_COLUMNS`; `muted` is how many of the flagged are muted.
    """

    rates: NDArray[np.int32]
    scores: NDArray[np.int32]
    patterns: dict[str | None, int]
    volume: int
    champions: dict[str, int]
    kept: pa.Table
    muted: int = 0


def partitions(lake: Lake) -> list[Partition]:
    """The partitions of the table, the oldest first; raises `LAKE_ERRORS`."""
    table = lake.table(SCORED)
    if table is None:
        return []
    names = ["path", "partition.date", "min.event_time", "max.event_time"]
    actions = pa.table(table.get_add_actions(flatten=True)).select(names).to_pylist()
    days: dict[date, list[tuple[Any, ...]]] = {}
    for action in actions:
        path, day, first, last = (action[name] for name in names)
        days.setdefault(day, []).append((path, first, last))
    return [_partition(day, days[day]) for day in sorted(days)]


def _partition(day: date, files: list[tuple[Any, ...]]) -> Partition:
    paths, firsts, lasts = zip(*files, strict=True)
    known = None not in firsts and None not in lasts
    # the log may hold milliseconds, cut off
    last = max(lasts) + timedelta(milliseconds=1) if known else None
    return Partition(day, frozenset(paths), min(firsts) if known else None, last)


def range_condition(partition: Partition, start: datetime, end: datetime) -> str:
    """The rows of a partition that lie in a range, as SQL."""
    day = f"date = DATE '{partition.day}'"
    if partition.lies_in(start, end):
        return day
    return f"{day} AND event_time BETWEEN {sql_time(start)} AND {sql_time(end)}"


def summarize(
    lake: Lake, partition: Partition, question: Question, start: datetime, end: datetime
) -> PartitionSummary:
    """Summarise the rows of a partition that lie in a range; raises `LAKE_ERRORS`."""
    where = range_condition(partition, start, end)

    def ask(select: str, condition: str, rest: str) -> pa.Table:
        sql = f"SELECT {select} FROM {SCORED} WHERE {where} AND {condition} {rest}"
        return _copied(lake.query(SCORED, sql))

    rates = ask(
        f"CAST(event_time AS BIGINT) / {question.base} AS bin,"
        f" CAST(floor(ln(greatest(fee_rate, {LEAST_RATE})) * {RATE_STEPS}) AS INT) AS rate,"
        f" CAST({question.flagged} AS INT) AS flagged, count(*) AS count,"
        " sum(output_value) AS volume",
        question.passing,
        "GROUP BY 1, 2, 3",
    )
    scores = ask(
        f"CAST(floor(anomaly_score * {SCORE_STEPS} + 1e-6) AS INT) AS score,"
        f" CAST(floor(({question.margin} + 1) * {SCORE_STEPS} + 1e-6) AS INT) AS margin,"
        f" CAST({question.flagged} AS INT) AS flagged,"
        f" CAST({question.coinbase} AS INT) AS coinbase,"
        f" CAST({question.by_rule} AS INT) AS by_rule, CAST({question.then} AS INT) AS then,"
        " count(*) AS count",
        question.passing,
        "GROUP BY 1, 2, 3, 4, 5, 6",
    )
    first = "model_version, CAST(min(scored_at) AS BIGINT) AS first"
    champions = ask(first, question.passing, "GROUP BY 1")
    combinations = "pattern, patterns, count(*) AS count"
    patterns = ask(combinations, question.marked_rows, "GROUP BY 1, 2")
    return PartitionSummary(
        _integers(rates, "bin", "rate", "flagged", "count"),
        _integers(scores, "score", "margin", "flagged", "coinbase", "by_rule", "then", "count"),
        _by_pattern(patterns.to_pylist()),
        pc.sum(rates["volume"]).as_py() or 0,
        dict(zip(*(column.to_pylist() for column in champions.columns), strict=True)),
        _kept(ask, question, scores),
        _count_muted(ask, question),
    )


def _count_muted(ask: Ask, question: Question) -> int:
    if not question.muted:
        return 0
    found = ask("count(*) AS count", f"{question.marked_rows} AND ({question.muted})", "")
    return int(found["count"][0].as_py())


def _by_pattern(combinations: list[dict[str, Any]]) -> dict[str | None, int]:
    """How many have each pattern, and how many none (None), from the count of each combination."""
    total = Counter[str | None]()
    for row in combinations:
        total.update(dict.fromkeys(row_patterns(row) or (None,), row["count"]))
    return total


def _kept(ask: Ask, question: Question, scores: pa.Table) -> pa.Table:
    """The first rows of the table's order, the anomalies, the outlying, and a sample of others."""
    key = question.order
    listed = question.shown
    if question.muted:
        listed += f" AND NOT ({question.flagged} AND ({question.muted}))"
    best = ask(f"{key} AS key", listed, f"ORDER BY {key} DESC, hash LIMIT {question.top}")
    lowest = _lowest_marked(scores, question.marked)
    wanted = [f"({question.flagged} AND (anomaly_score >= {lowest} OR {question.by_rule}))"]
    if len(best):
        last = pc.min(best["key"]).as_py()
        wanted.append(f"{key} >= {sql_time(last) if isinstance(last, datetime) else repr(last)}")
    wanted += _ends(ask, question)
    others = pc.sum(scores.filter(pc.field("flagged") == 0)["count"]).as_py() or 0
    if others > SAMPLED_ROWS:
        # the end of a hash is random, and independent of the digits that a viewer filters by
        below = f"{int(SAMPLED_ROWS / others * 16**6):06x}"
        wanted.append(f"right(hash, 6) < '{below}'")
    else:
        wanted.append("TRUE")
    condition = f"{question.shown} AND ({' OR '.join(wanted)})"
    return ask(SELECTED_COLUMNS, condition, f"ORDER BY {key} DESC, hash LIMIT {MOST_KEPT}")


def _ends(ask: Ask, question: Question) -> list[str]:
    """Conditions of the rows with the lowest and highest fee rates and values, none for ties."""
    conditions = []
    for column in ("fee_rate", "output_value"):
        for direction, sign in (("ASC", "<"), ("DESC", ">")):
            order = f"ORDER BY {column} {direction} LIMIT {question.outlying}"
            end = ask(column, question.shown, order)[column].to_pylist()
            if len(end) == question.outlying:
                conditions.append(f"{column} {sign} {end[-1]!r}")
    return conditions


def _copied(table: pa.Table) -> pa.Table:
    """Copy a result: the engine's arrays refer to whole pages of files, which would stay in memory.

    Text becomes Arrow's plain strings.
    """
    fields = [pa.field(field.name, _plain(field.type)) for field in table.schema]
    return table.cast(pa.schema(fields)).take(np.arange(len(table)))


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    return pa.string() if kind == pa.string_view() else kind


def _lowest_marked(scores: pa.Table, most: int) -> float:
    """The least score of about the `most` anomalies with the highest scores."""
    flagged = scores.filter(pc.field("flagged") == 1)
    bins = flagged.group_by("score").aggregate([("count", "sum")]).sort_by("score").to_pydict()
    above = np.cumsum(bins["count_sum"][::-1])[::-1]
    fitting = [score for score, total in zip(bins["score"], above, strict=True) if total <= most]
    lowest = min(fitting, default=max(bins["score"], default=0))
    return (lowest - 0.001) / SCORE_STEPS


def _integers(table: pa.Table, *names: str) -> NDArray[np.int32]:
    return np.stack([table[name].to_numpy() for name in names], axis=1).astype(np.int32)
