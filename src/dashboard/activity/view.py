"""What the activity page shows of one view, computed once for all who look at the same.

Ten viewers of one view cost one computation a refresh; a range beyond the rows at hand is read
from Delta and kept for a minute.
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
from dashboard.lake.recent import Recent, Snapshot
from dashboard.lake.rows import Rows, micros, moment
from dashboard.lake.sources import LAKE_ERRORS, Lake
from dashboard.look.theme import Theme

MOST_POINTS = 2_000
MOST_MARKED = 2_000
TABLE_ROWS = 250
KEPT_ANSWERS = 12
KEPT_READS = 2
READ_SECONDS = 60
LEAST_WINDOWS = timedelta(hours=3)
"""The ten-minute statistics show this long at least: two bars are no picture."""


@dataclass(frozen=True)
class Activity:
    """One view's numbers, figures and table; `problem` is a sentence where rows are missing."""

    snapshot: Snapshot
    summary: queries.Summary
    start: datetime
    end: datetime
    bins: queries.Bins
    timeline: Figure
    scores: Figure
    scatter: Figure
    fee_rates: Figure
    patterns: Figure
    windows: Figure | None
    table: list[dict[str, Any]]
    problem: str | None


class Views:
    """Answers views from the rows at hand, from Delta beyond them, each answer kept."""

    def __init__(self, recent: Recent, lake: Lake, most_rows: int) -> None:
        self.recent, self.lake, self.most_rows = recent, lake, most_rows
        self._answers: OrderedDict[object, Activity] = OrderedDict()
        self._reads: OrderedDict[object, tuple[datetime, Rows]] = OrderedDict()
        self._serial = -1
        self._lock, self._reading = Lock(), Lock()

    def activity(self, view: Filters, theme: Theme, zone: str) -> Activity:
        """Everything the page shows of a view, as of the newest snapshot."""
        snapshot = self.recent.snapshot
        key = (view, theme, zone)
        rows, problem = self.rows(view, snapshot)  # before the lock: a slow read holds up nobody
        with self._lock:
            if self._serial != snapshot.serial:
                self._answers.clear()  # an answer holds its snapshot's rows: never keep old ones
                self._serial = snapshot.serial
            if key not in self._answers:
                self._answers[key] = compute(snapshot, rows, problem, view, theme, zone)
            while len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)
            return self._answers[key]

    def rows(self, view: Filters, snapshot: Snapshot) -> tuple[Rows, str | None]:
        """All rows of a view's time range, and a sentence if they are not all."""
        start, end = view.interval(snapshot.taken)
        if start >= snapshot.taken - self.recent.keep:
            rows = snapshot.rows.between(start, end)
            return rows, None if start >= snapshot.since else _too_many(len(rows))
        try:
            with self._reading:
                rows = self._read(view, start, end, snapshot)
        except LAKE_ERRORS:
            self.lake.close()
            return snapshot.rows.between(start, end), (
                "The older part of this range cannot be read just now; the newest hours are shown."
            )
        if len(rows) < self.most_rows:
            return rows, None
        return rows, _too_many(self.most_rows)

    def _read(self, view: Filters, start: datetime, end: datetime, snapshot: Snapshot) -> Rows:
        key = (view.range, view.start, view.end)
        read, rows = self._reads.get(key, (None, None))
        if read is None or rows is None or snapshot.taken - read > timedelta(seconds=READ_SECONDS):
            rows = self.lake.scored_between(start, end, self.most_rows)
            self._reads.pop(key, None)
            self._reads[key] = (snapshot.taken, rows)
            while len(self._reads) > KEPT_READS:
                self._reads.popitem(last=False)
        return rows


def _too_many(shown: int) -> str:
    return f"This range holds more: its newest {shown:,} are shown."


def compute(
    snapshot: Snapshot, rows: Rows, problem: str | None, view: Filters, theme: Theme, zone: str
) -> Activity:
    """One view of the rows of its range."""
    start, end = view.interval(snapshot.taken)
    end = min(end, snapshot.taken)
    keep, where = f"{view.query}{theme}", ZoneInfo(zone)
    passing = queries.narrowed(rows, view)
    chosen = queries.flagged(passing, view.threshold)
    numbers = queries.summary(passing, chosen, start, end)
    if view.flagged:
        passing, chosen = passing.take(chosen), chosen[chosen]
    edges = queries.bin_edges(start, end)
    counts, anomalies = (queries.per_bin(passing, edges, mask) for mask in (None, chosen))
    rest, marked = queries.sample(passing, chosen, MOST_POINTS, MOST_MARKED)
    threshold = view.threshold or current_threshold(snapshot)
    windows = _windows(snapshot, start, end, where, theme, keep)
    bands = queries.fee_rate_bands(passing, edges)
    return Activity(
        snapshot, numbers, start, end, queries.Bins(edges, counts, anomalies),
        figures.timeline(edges, counts, anomalies, where, theme, keep),
        figures.scores(queries.score_counts(passing), threshold, theme, keep),
        figures.scatter(passing, rest, marked, theme, keep),
        figures.fee_rates(edges, bands, where, theme, keep),
        figures.patterns(queries.pattern_counts(passing, chosen), theme, keep),
        windows,
        table(passing, chosen, view.order),
        problem,
    )  # fmt: skip


def _windows(
    snapshot: Snapshot, start: datetime, end: datetime, zone: ZoneInfo, theme: Theme, keep: str
) -> Figure | None:
    if snapshot.stats is None or not len(snapshot.stats):
        return None
    starts = snapshot.stats.column("window_start").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    first = micros(min(start, end - LEAST_WINDOWS))
    inside = (starts.to_numpy() >= first) & (starts.to_numpy() <= micros(end))
    return figures.windows(snapshot.stats.filter(inside), zone, theme, keep)


def current_threshold(snapshot: Snapshot) -> float | None:
    """The threshold that the newest row was judged by; None while there is no row."""
    rows = snapshot.rows
    if not len(rows):
        return None
    return float(rows["threshold"][int(rows["scored"].argmax())])


def table(rows: Rows, chosen: queries.Mask, order: str) -> list[dict[str, Any]]:
    """The table's rows: money in satoshi, time in milliseconds, as the browser formats them."""
    index = queries.best(rows, order, TABLE_ROWS)
    some = rows.take(index)
    columns = {
        "hash": some.hashes(),
        "time": (some["time"] // 1000).tolist(),
        "score": some["anomaly_score"].round(4).tolist(),
        "flagged": chosen[index].tolist(),
        "pattern": some.words(some.pattern),
        "value": some["output_value"].tolist(),
        "fee": some["fee"].tolist(),
        "fee_rate": some["fee_rate"].round(2).tolist(),
        "inputs": some["inputs_count"].tolist(),
        "outputs": some["outputs_count"].tolist(),
        "vsize": (some["weight"] / 4).tolist(),
    }
    names = tuple(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def event_time(rows: Rows, hash: str) -> datetime | None:
    """The event time of a transaction at hand."""
    found = rows["time"][rows.find(hash)]
    return moment(int(found[0])) if len(found) else None
