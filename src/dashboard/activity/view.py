"""The activity page for given filters: computed once and shared by all viewers who ask for it.

Ten viewers with the same filters cost one computation a refresh. A range that goes beyond the
recent rows is read from Delta and kept for a minute.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from dashboard.activity import figures, queries
from dashboard.activity.figures import Figure
from dashboard.activity.filters import Filters
from dashboard.activity.table import table_rows
from dashboard.lake.recent import RecentRows, Snapshot
from dashboard.lake.rows import Rows, to_micros
from dashboard.lake.sources import LAKE_ERRORS, Lake
from dashboard.look.theme import Theme

MAX_POINTS = 2_000
"""Points of the scatter, for anomalies and for the others each."""

CACHED_VIEWS = 12
CACHED_READS = 2
READ_SECONDS = 60
SHORTEST_STATISTICS = timedelta(hours=3)
"""The ten-minute statistics cover at least this long: a shorter range would show a few bars."""


@dataclass(frozen=True)
class ActivityView:
    """Numbers, figures and table rows of the page; `problem` is a sentence if rows are missing.

    `figures` has one for each graph, by its id; empty where there is nothing to draw.
    """

    snapshot: Snapshot
    summary: queries.Summary
    figures: dict[str, Figure]
    table: list[dict[str, Any]]
    problem: str | None


class ViewCache:
    """Computes views from the recent rows, or from Delta beyond them, and keeps the newest."""

    def __init__(self, recent: RecentRows, lake: Lake, max_rows: int) -> None:
        self.recent, self.lake, self.max_rows = recent, lake, max_rows
        self._views: OrderedDict[object, ActivityView] = OrderedDict()
        self._reads: OrderedDict[object, tuple[datetime, Rows]] = OrderedDict()
        self._serial = -1
        self._lock, self._reading = Lock(), Lock()

    def view(self, filters: Filters, theme: Theme, zone: str) -> ActivityView:
        """The whole page for some filters, from the newest snapshot."""
        snapshot = self.recent.snapshot
        key = (filters, theme, zone)
        rows, problem = self.rows(filters, snapshot)  # outside the lock: a read may be slow
        with self._lock:
            if self._serial != snapshot.serial:
                self._views.clear()  # a view refers to its snapshot's rows and would keep them
                self._serial = snapshot.serial
            if key not in self._views:
                self._views[key] = compute_view(snapshot, rows, problem, filters, theme, zone)
            while len(self._views) > CACHED_VIEWS:
                self._views.popitem(last=False)
            return self._views[key]

    def rows(self, filters: Filters, snapshot: Snapshot) -> tuple[Rows, str | None]:
        """All rows of the time range, and a sentence if some are missing."""
        start, end = filters.interval(snapshot.taken_at)
        if start >= snapshot.taken_at - self.recent.kept:
            rows = snapshot.rows.between(start, end)
            return rows, None if start >= snapshot.complete_since else _too_many(len(rows))
        try:
            with self._reading:
                rows = self._read(filters, start, end, snapshot)
        except LAKE_ERRORS:
            self.lake.close()
            return snapshot.rows.between(start, end), (
                "The older part of this range cannot be read just now; the newest hours are shown."
            )
        if len(rows) < self.max_rows:
            return rows, None
        return rows, _too_many(self.max_rows)

    def _read(self, filters: Filters, start: datetime, end: datetime, snapshot: Snapshot) -> Rows:
        key = (filters.range, filters.start, filters.end)
        read_at, rows = self._reads.get(key, (snapshot.taken_at, None))
        if rows is None or snapshot.taken_at - read_at > timedelta(seconds=READ_SECONDS):
            rows = self.lake.scored_between(start, end, self.max_rows)
            self._reads.pop(key, None)
            self._reads[key] = (snapshot.taken_at, rows)
            while len(self._reads) > CACHED_READS:
                self._reads.popitem(last=False)
        return rows


def _too_many(shown: int) -> str:
    return f"This range holds more: its newest {shown:,} are shown."


def compute_view(
    snapshot: Snapshot,
    rows: Rows,
    problem: str | None,
    filters: Filters,
    theme: Theme,
    zone_name: str,
) -> ActivityView:
    """The page for the rows of its time range; `problem` is passed on."""
    start, end = filters.interval(snapshot.taken_at)
    end = min(end, snapshot.taken_at)
    revision, zone = f"{filters.query}{theme}", ZoneInfo(zone_name)
    passing = queries.passing(rows, filters)
    flagged = queries.flagged(passing, filters.threshold)
    summary = queries.summarize(passing, flagged, start, end)
    if filters.flagged:
        passing, flagged = passing.take(flagged), flagged[flagged]
    edges = queries.bin_edges(start, end)
    counts, anomalies = (queries.count_by_bin(passing, edges, mask) for mask in (None, flagged))
    rest, marked = queries.sample(passing, flagged, MAX_POINTS, MAX_POINTS)
    threshold = filters.threshold or model_threshold(snapshot)
    score_counts, bands = queries.score_counts(passing), queries.fee_rate_bands(passing, edges)
    pattern_counts = queries.pattern_counts(passing, flagged)
    drawn = {
        "timeline": figures.timeline(edges, counts, anomalies, zone, theme, revision),
        "scores": figures.scores(score_counts, threshold, theme, revision),
        "scatter": figures.scatter(passing, rest, marked, theme, revision),
        "fee_rates": figures.fee_rates(edges, bands, zone, theme, revision),
        "patterns": figures.patterns(pattern_counts, theme, revision),
        "windows": {},
    }
    statistics = _statistics_between(snapshot.statistics, start, end)
    if statistics is not None:
        drawn["windows"] = figures.windows(statistics, zone, theme, revision)
    table = table_rows(passing, flagged, filters.order)
    return ActivityView(snapshot, summary, drawn, table, problem)


def _statistics_between(
    statistics: pa.Table | None, start: datetime, end: datetime
) -> pa.Table | None:
    if statistics is None or not len(statistics):
        return None
    starts = statistics.column("window_start").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    first = to_micros(min(start, end - SHORTEST_STATISTICS))
    inside = (starts.to_numpy() >= first) & (starts.to_numpy() <= to_micros(end))
    return statistics.filter(inside)


def model_threshold(snapshot: Snapshot) -> float | None:
    """The threshold that the newest row was scored with; None while there is no row."""
    rows = snapshot.rows
    if not len(rows):
        return None
    return float(rows["threshold"][int(rows["scored"].argmax())])
