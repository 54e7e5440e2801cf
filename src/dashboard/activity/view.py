"""The activity page for given filters: computed once and shared by all viewers who ask for it.

Ten viewers with the same filters cost one computation a refresh. A range that goes beyond the
recent rows is summarised by the query engine and kept for a minute.
"""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from dashboard.activity import fee_rate_figure, figures, market_figure, queries, scatter_figure
from dashboard.activity.figures import Figure
from dashboard.activity.filters import Filters
from dashboard.activity.long_ranges import LongRanges
from dashboard.activity.queries import Aggregates
from dashboard.activity.table import table_rows
from dashboard.lake.recent import RecentRows, Snapshot
from dashboard.lake.rows import to_micros
from dashboard.lake.sources import LAKE_ERRORS, Lake
from dashboard.look.theme import Theme

CACHED_VIEWS = 12
TABLE = "table"
READ_SECONDS = 60
MARKET_SECONDS = 20
MARKET_BINS = 240
SHORTEST_STATISTICS = timedelta(hours=3)
"""The ten-minute statistics cover at least this long: a shorter range would show a few bars."""


@dataclass(frozen=True)
class ActivityView:
    """Numbers, figures and table rows of the page; `problem` is a sentence if rows are missing.

    `figures` has one for each graph, by its id; empty where there is nothing to draw. `since` has
    for each of them, and for the `table`, the serial of the snapshot from which it is as it is.
    `statistics` are the ten-minute windows that are drawn, None where none is.
    """

    snapshot: Snapshot
    aggregates: Aggregates
    figures: dict[str, Figure]
    table: list[dict[str, Any]]
    problem: str | None
    statistics: pa.Table | None = None
    since: dict[str, int] = field(default_factory=dict)

    @property
    def summary(self) -> queries.Summary:
        """The numbers of the tiles."""
        return self.aggregates.summary

    @property
    def parts(self) -> dict[str, Any]:
        """The figures and the table, which are sent only when they have changed."""
        return {**self.figures, TABLE: self.table}

    def changed_since(self, serial: int) -> dict[str, Any]:
        """The parts that are others than in the view of a snapshot before, of the same key."""
        return {name: part for name, part in self.parts.items() if self.since[name] > serial}


class ViewCache:
    """Computes views from the recent rows, or from Delta beyond them, and keeps the newest."""

    def __init__(self, recent: RecentRows, lake: Lake) -> None:
        self.recent = recent
        self.long_ranges = LongRanges(lake)
        self._views: OrderedDict[object, ActivityView] = OrderedDict()
        self._sent: OrderedDict[object, tuple[dict[str, Any], dict[str, int]]] = OrderedDict()
        self._aggregates: OrderedDict[Filters, Aggregates] = OrderedDict()
        self._reads: OrderedDict[object, tuple[datetime, Aggregates]] = OrderedDict()
        self._markets: OrderedDict[object, tuple[datetime, pa.Table | None]] = OrderedDict()
        self._serial = -1
        self._lock, self._reading = Lock(), Lock()

    def view(self, filters: Filters, theme: Theme, zone: str) -> ActivityView:
        """The whole page for some filters, from the newest snapshot."""
        snapshot = self.recent.snapshot
        aggregates, problem = self.aggregates(filters, snapshot)
        markets = self.markets(filters, snapshot)
        key = (filters, theme, zone)
        with self._lock:
            self._forget_older(snapshot)
            if key not in self._views:
                view = draw_view(snapshot, aggregates, markets, problem, filters, theme, zone)
                self._views[key] = replace(view, since=self._since(key, view))
            _drop_oldest(self._views, CACHED_VIEWS)
            return self._views[key]

    def _since(self, key: object, view: ActivityView) -> dict[str, int]:
        """From which snapshot on each part is as it is; parts are kept to compare the next with."""
        before, since = self._sent.pop(key, ({}, {}))
        parts, serial = view.parts, view.snapshot.serial
        since = {
            name: since[name] if name in before and before[name] == part else serial
            for name, part in parts.items()
        }
        self._sent[key] = parts, since
        _drop_oldest(self._sent, CACHED_VIEWS)
        return since

    def aggregates(self, filters: Filters, snapshot: Snapshot) -> tuple[Aggregates, str | None]:
        """The numbers of the time range, and a sentence if some rows are missing."""
        start, end = filters.interval(snapshot.taken_at)
        if start >= snapshot.complete_since:
            return self._from_memory(filters, snapshot), None
        try:
            with self._reading:
                return self._from_lake(filters, start, end, snapshot), None
        except LAKE_ERRORS:
            return self._from_memory(filters, snapshot), (
                "The older part of this range cannot be read just now; the newest hours are shown."
            )

    def markets(self, filters: Filters, snapshot: Snapshot) -> pa.Table | None:
        """The going fee rate over the time range; None where it cannot be read just now.

        It changes once a minute, and is kept for a third of that.
        """
        start, end = filters.interval(snapshot.taken_at)
        key = (filters.range, filters.start, filters.end)
        with self._reading:
            read_at, markets = self._markets.get(key, (snapshot.taken_at, None))
            late = snapshot.taken_at - read_at > timedelta(seconds=MARKET_SECONDS)
            if markets is None or late:
                until = min(end, snapshot.taken_at)
                width = queries.bin_edges(start, until, MARKET_BINS)[:2]
                seconds = max(60, int(width[1] - width[0]) // 1_000_000)
                try:
                    markets = self.long_ranges.markets(start, until, seconds)
                except LAKE_ERRORS:
                    return markets
                self._markets.pop(key, None)
                self._markets[key] = (snapshot.taken_at, markets)
                _drop_oldest(self._markets, CACHED_VIEWS)
            return markets

    def _forget_older(self, snapshot: Snapshot) -> None:
        if self._serial != snapshot.serial:
            self._views.clear()  # a view refers to its snapshot's rows and would keep them
            self._aggregates.clear()
            self._serial = snapshot.serial

    def _from_memory(self, filters: Filters, snapshot: Snapshot) -> Aggregates:
        with self._lock:
            self._forget_older(snapshot)
            if filters not in self._aggregates:
                start, end = filters.interval(snapshot.taken_at)
                rows, until = snapshot.rows.between(start, end), min(end, snapshot.taken_at)
                found = queries.aggregate(rows, filters, start, until)
                muted = int(snapshot.opinions.muting.mask(found.rows, found.flagged).sum())
                self._aggregates[filters] = replace(found, muted=muted)
            _drop_oldest(self._aggregates, CACHED_VIEWS)
            return self._aggregates[filters]

    def _from_lake(
        self, filters: Filters, start: datetime, end: datetime, snapshot: Snapshot
    ) -> Aggregates:
        now, muted = snapshot.taken_at, snapshot.opinions.muting.condition
        key = (filters, muted)
        read_at, aggregates = self._reads.get(key, (now, None))
        if aggregates is None or now - read_at > timedelta(seconds=READ_SECONDS):
            aggregates = self.long_ranges.aggregate(filters, start, end, now, muted)
            self._reads.pop(key, None)
            self._reads[key] = (now, aggregates)
            _drop_oldest(self._reads, CACHED_VIEWS)
        return aggregates


def _drop_oldest(cache: OrderedDict[Any, Any], most: int) -> None:
    while len(cache) > most:
        cache.popitem(last=False)


def draw_view(
    snapshot: Snapshot,
    aggregates: Aggregates,
    markets: pa.Table | None,
    problem: str | None,
    filters: Filters,
    theme: Theme,
    zone_name: str,
) -> ActivityView:
    """The page for the numbers and the `markets` of its range; `problem` is passed on."""
    start, end = filters.interval(snapshot.taken_at)
    revision, zone = f"{filters.query}{theme}", ZoneInfo(zone_name)
    numbers, edges = aggregates, aggregates.edges
    flagged, own = numbers.rows.take(numbers.drawn[1]), filters.threshold
    threshold = model_threshold(snapshot) if own is None else own
    ordinary = int(numbers.counts.sum() - numbers.anomalies.sum())
    open_end = end >= snapshot.taken_at
    times, flat = (zone, theme, revision), (theme, revision)
    drawn = {
        "timeline": figures.timeline(
            edges, numbers.counts, numbers.anomalies, numbers.champions, open_end, *times
        ),
        "scores": figures.scores(numbers.score_counts, threshold, *flat),
        "scatter": scatter_figure.scatter(
            numbers.rows, numbers.drawn, ordinary, own, filters.axis, *flat
        ),
        "fee_rates": fee_rate_figure.fee_rates(edges, numbers.bands, *times),
        "market": market_figure.market(markets, flagged, own, numbers.champions, edges, *times),
        "patterns": figures.patterns(numbers.pattern_counts, *flat),
        "windows": {},
    }
    statistics = _statistics_between(snapshot.statistics, start, min(end, snapshot.taken_at))
    if statistics is not None:
        drawn["windows"] = figures.windows(statistics, *times)
    table = _table(snapshot, numbers, filters)
    return ActivityView(snapshot, aggregates, drawn, table, problem, statistics)


def _table(snapshot: Snapshot, numbers: Aggregates, filters: Filters) -> list[dict[str, Any]]:
    """The table's rows; the muted are left out unless the viewer asks for them."""
    rows, marks = numbers.rows, numbers.flagged
    muted = snapshot.opinions.muting.mask(rows, marks)
    if not filters.muted and muted.any():
        rows, marks, muted = rows.take(~muted), marks[~muted], muted[~muted]
    mark_of = snapshot.opinions.mark_of
    return table_rows(rows, marks, filters.order, filters.threshold, muted, mark_of)


def _statistics_between(
    statistics: pa.Table | None, start: datetime, end: datetime
) -> pa.Table | None:
    """Those of a range; None where there is none."""
    if statistics is None:
        return None
    starts = statistics.column("window_start").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    first = to_micros(min(start, end - SHORTEST_STATISTICS))
    inside = (starts.to_numpy() >= first) & (starts.to_numpy() <= to_micros(end))
    return statistics.filter(inside) if inside.any() else None


def model_threshold(snapshot: Snapshot) -> float | None:
    """The threshold that the newest row was scored with; None while no model scores."""
    rows = snapshot.rows
    if not len(rows):
        return None
    newest = int(rows["scored"].argmax())
    return None if rows.unscored()[newest] else float(rows["threshold"][newest])
