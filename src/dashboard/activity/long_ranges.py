"""Ranges beyond the rows in memory: summaries of the table's partitions, added up.

A partition that lies wholly in the range is summarised once and kept until its files change: the
past is read once for each combination of filters. The others, today's and those at the ends of the
range, are read each time.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.row_filters import (
    BY_MODEL_ALONE,
    BY_RULE,
    IS_COINBASE,
    MARGIN,
    ORDER_KEYS,
    flagged_condition,
    passing_condition,
)
from dashboard.activity import queries
from dashboard.activity.filters import NO_PATTERN, Filters
from dashboard.activity.queries import (
    FEE_RATE_PERCENTILES,
    MAX_POINTS,
    OUTLYING,
    TABLE_ROWS,
    Aggregates,
)
from dashboard.lake.partitions import (
    RATE_STEPS,
    SCORE_STEPS,
    Partition,
    PartitionSummary,
    Question,
    partitions,
    summarize,
)
from dashboard.lake.rows import from_table, no_rows
from dashboard.lake.sources import LAKE_ERRORS, Lake

KEPT_SUMMARIES = 150
"""About half a megabyte each: four combinations of filters over thirty days."""

WARMED = timedelta(days=30)
TEN_MINUTES = 600_000_000


class LongRanges:
    """Aggregates of ranges read from the lake; one reading at a time, to bound the memory."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._kept: OrderedDict[object, PartitionSummary] = OrderedDict()
        self._lock = Lock()

    def aggregate(
        self, filters: Filters, start: datetime, end: datetime, now: datetime, muted: str = ""
    ) -> Aggregates:
        """All that the page shows of a range; raises `LAKE_ERRORS`.

        `muted` are flagged rows that are muted, as SQL.
        """
        edges = queries.bin_edges(start, min(end, now))
        question = _question(filters, int(edges[1] - edges[0]), muted)
        with self._lock:
            try:
                found = [p for p in partitions(self.lake) if p.overlaps(start, end)]
                summaries = [self._summary(p, question, start, end) for p in found]
            except LAKE_ERRORS:
                self.lake.close()
                raise
        return add_up(summaries, question, filters, edges)

    def markets(self, start: datetime, end: datetime, seconds: int) -> pa.Table | None:
        """The going fee rate of a range by bins of so many seconds; raises `LAKE_ERRORS`."""
        with self._lock:
            try:
                return self.lake.markets(start, end, seconds)
            except LAKE_ERRORS:
                self.lake.close()
                raise

    def warm(self, now: datetime, muted: str = "") -> bool:
        """Summarise one more past day without filters; False when none is left."""
        question, start = _question(Filters(), TEN_MINUTES, muted), now - WARMED
        with self._lock:
            for partition in reversed(partitions(self.lake)):
                past = partition.day < now.astimezone(UTC).date()
                key = (partition, question)
                if past and partition.lies_in(start, now) and key not in self._kept:
                    self._summary(partition, question, start, now)
                    return True
        return False

    def _summary(
        self, partition: Partition, question: Question, start: datetime, end: datetime
    ) -> PartitionSummary:
        key = (partition, question)
        if not partition.lies_in(start, end):
            return summarize(self.lake, partition, question, start, end)
        if key not in self._kept:
            self._kept[key] = summarize(self.lake, partition, question, start, end)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_SUMMARIES:
            self._kept.popitem(last=False)
        return self._kept[key]


def _question(filters: Filters, width: int, muted: str) -> Question:
    """What to ask of each partition; wide time bins are made of ten-minute ones."""
    return Question(
        passing=passing_condition(filters),
        flagged=flagged_condition(filters),
        coinbase=IS_COINBASE,
        by_rule=BY_RULE,
        then=BY_MODEL_ALONE,
        margin=MARGIN,
        only_flagged=filters.only_flagged,
        order=ORDER_KEYS[filters.order],
        base=TEN_MINUTES if width % TEN_MINUTES == 0 else width,
        top=TABLE_ROWS,
        marked=MAX_POINTS,
        outlying=OUTLYING,
        muted=muted,
    )


def add_up(
    summaries: Sequence[PartitionSummary],
    question: Question,
    filters: Filters,
    edges: NDArray[np.int64],
) -> Aggregates:
    """The aggregates of all partitions; percentiles of fee rates are exact to 1 %."""
    bins, codes, marked, count = _joined([each.rates for each in summaries], 4)
    scores = _joined([each.scores for each in summaries], 7)
    score, margin, hot, coinbase, by_rule, then, scored = scores
    last = len(edges) - 1
    place = ((bins * question.base - edges[0]) // (edges[1] - edges[0])).clip(0, last - 1)
    flagged = marked == 1
    every = not filters.only_flagged
    spending, shown = coinbase == 0, flagged | every
    drawn = ((hot == 1) | every) & spending
    median = _percentiles(np.zeros_like(codes), codes, count, 1, (50,))
    tables = [each.kept for each in summaries]
    rows = from_table(pa.concat_tables(tables)) if tables else no_rows()
    marks = queries.flagged(rows, filters.threshold, filters.flagged_by)
    return Aggregates(
        summary=queries.summary(
            int(count.sum()),
            int(count[marked == 1].sum()),
            float(median[0, 0]),
            sum(each.volume for each in summaries),
        ),
        edges=edges,
        counts=_totals(place[shown], count[shown], last),
        anomalies=_totals(place[flagged], count[flagged], last),
        score_counts=queries.score_counts(_slider_counts(score, scored, drawn)),
        slider_counts=_slider_counts(score, scored, spending),
        rule_counts=_slider_counts(score, scored, spending & (by_rule == 1)),
        then_counts=_slider_counts(score, scored, spending & (then == 1)),
        margin_counts=_totals(margin[spending], scored[spending], 2 * SCORE_STEPS + 1),
        bands=_percentiles(place[shown], codes[shown], count[shown], last, FEE_RATE_PERCENTILES),
        pattern_counts=_pattern_counts(summaries),
        rows=rows,
        flagged=marks,
        drawn=queries.sample(rows, marks, MAX_POINTS, MAX_POINTS),
        champions=_first_scored(summaries),
        muted=sum(each.muted for each in summaries),
    )


def _first_scored(summaries: Sequence[PartitionSummary]) -> list[tuple[str, int]]:
    """The model versions in order, each with the microsecond at which it scored first."""
    first: dict[str, int] = {}
    for each in summaries:
        for version, at in each.champions.items():
            first[version] = min(at, first.get(version, at))
    return sorted(first.items(), key=lambda item: item[1])


def _joined(parts: Sequence[NDArray[np.int32]], width: int) -> NDArray[np.int64]:
    """The columns of all parts, (width, n)."""
    return np.concatenate([np.empty((0, width), np.int32), *parts]).astype(np.int64).T


def _slider_counts(
    score: NDArray[np.int64], count: NDArray[np.int64], mask: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The counts of a mask by thousandth of the score."""
    return _totals(score[mask], count[mask], SCORE_STEPS + 1)


def _pattern_counts(summaries: Sequence[PartitionSummary]) -> list[tuple[str, int]]:
    """How many of the flagged have each pattern, most first; one may have several."""
    total = Counter[str]()
    for each in summaries:
        total.update({name or NO_PATTERN: count for name, count in each.patterns.items()})
    return total.most_common()


def _totals(place: NDArray[np.int64], count: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    return np.bincount(place, count, length).astype(np.int64)


def _percentiles(
    place: NDArray[np.int64],
    codes: NDArray[np.int64],
    count: NDArray[np.int64],
    places: int,
    percentiles: Sequence[int],
) -> NDArray[np.float64]:
    """Percentiles of the fee rate at each place, (percentiles, places) in sat/vB; NaN for none."""
    result = np.full((len(percentiles), places), np.nan)
    if not len(codes):
        return result
    least, steps = int(codes.min()), int(codes.max() - codes.min()) + 1
    table = np.bincount(place * steps + codes - least, count, places * steps)
    below = table.reshape(places, steps).cumsum(axis=1)
    total = below[:, -1]
    for i, percentile in enumerate(percentiles):
        position = percentile / 100 * (total - 1)
        step = (below <= position[:, None]).sum(axis=1)
        rate = np.exp((np.minimum(step, steps - 1) + least + 0.5) / RATE_STEPS)
        result[i] = np.where(total > 0, rate, np.nan)
    return result
