"""The recent rows, shared by all viewers: one thread reads them once, then only the new ones.

A snapshot is immutable: a page computed from one keeps it while the thread makes the next.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import requests

from core.lake import OriginMismatchError
from core.market import Market
from dashboard.lake.opinions import Opinions, OpinionsReader
from dashboard.lake.parts import Health, Parts
from dashboard.lake.rows import EPOCH, Rows, concatenate, from_micros, no_rows, to_micros
from dashboard.lake.sources import LAKE_ERRORS, Api, Lake
from monitoring.dashboard_metrics import DashboardMetrics

log = logging.getLogger(__name__)

STATISTICS_KEPT = timedelta(days=8)
"""Ten-minute windows in memory, 144 a day: more than the longest preset range."""

OVERLAP = timedelta(seconds=90)
"""Rows scored this long before the newest are read again: clocks may step back a little."""

_MAX_REASON = 300


@dataclass(frozen=True)
class Snapshot:
    """The state of the lake and the API at one time.

    `rows` are complete from `complete_since` on. `problem` and `api_problem` are sentences for the
    viewer, None while all is well; `health` is that of the other parts. `serial` counts snapshots
    from the second of the process's start: an open page has none of an earlier process that is
    higher.
    """

    taken_at: datetime
    rows: Rows = field(default_factory=no_rows)
    complete_since: datetime = EPOCH
    statistics: pa.Table | None = None
    newest_arrival: datetime | None = None
    market: Market | None = None
    problem: str | None = "Reading the lake for the first time."
    model: dict[str, Any] | None = None
    api_problem: str | None = None
    health: Health = Health()
    opinions: Opinions = field(default_factory=Opinions)
    serial: int = 0


class RecentRows:
    """Follows the lake and the API; `snapshot` is their newest state."""

    def __init__(
        self,
        lake: Lake,
        api: Api,
        parts: Parts,
        clock: Callable[[], datetime],
        metrics: DashboardMetrics,
        kept: timedelta,
        max_rows: int,
        opinions: OpinionsReader | None = None,
    ) -> None:
        self.lake, self.api, self.parts = lake, api, parts
        self.clock, self.metrics = clock, metrics
        self.kept, self.max_rows, self._opinions = kept, max_rows, opinions
        self.snapshot = Snapshot(clock(), serial=int(clock().timestamp()))
        self._identity: str | None = None
        self._cut = EPOCH
        self._lock = Lock()
        self._unreadable_since: datetime | None = None

    def refresh(self) -> Snapshot:
        """Read what is new. What cannot be read stays as it was, and `problem` says why."""
        with self._lock, self.metrics.refresh_seconds.time():
            old = self.snapshot
            snapshot = replace(
                old,
                taken_at=self.clock(),
                health=self.parts.health,
                serial=old.serial + 1,
            )
            self.snapshot = self._with_model(self._with_lake(snapshot))
            self.metrics.rows.set(len(self.snapshot.rows))
            return self.snapshot

    def _with_lake(self, old: Snapshot) -> Snapshot:
        try:
            start = old.taken_at - self.kept
            identity = self.lake.identity()
            if identity is None and self._identity is not None:
                return self._with_problem(
                    old, f"{self.lake.uri} holds no scored transactions any more."
                )
            rows = old.rows if identity in (self._identity, None) else no_rows()
            rows = self._drop_excess(_drop_before(start, self._add_new(rows, start)))
            new = replace(
                old,
                rows=rows,
                newest_arrival=self.lake.newest_arrival(old.taken_at - timedelta(days=2)),
                market=self.lake.newest_market(old.taken_at - timedelta(days=2)),
                complete_since=max(start, self._cut),
                statistics=self.lake.window_statistics(old.taken_at - STATISTICS_KEPT),
                problem=None,
            )
            if self._opinions is not None:
                new = replace(new, opinions=self._opinions.read(new.rows, self.lake))
        except OriginMismatchError as error:
            return self._with_problem(replace(old, rows=no_rows(), statistics=None), str(error))
        except LAKE_ERRORS as error:
            self._unreadable_since = self._unreadable_since or old.taken_at
            problem = (
                f"The lake cannot be read since {self._unreadable_since:%H:%M:%S} UTC"
                f" ({_first_line(error)}). It is tried again by itself; if it stays so, see"
                " DashboardErrors in docs/runbook.md."
            )
            return self._with_problem(old, problem)
        self._unreadable_since = None
        self._identity = identity or self._identity
        self.metrics.refreshed.set(old.taken_at.timestamp())
        return new

    def _with_problem(self, old: Snapshot, problem: str) -> Snapshot:
        if old.problem != problem:
            log.warning("event=lake_unreadable lake=%s reason=%s", self.lake.uri, problem)
        self.metrics.errors.labels("lake").inc()
        self.lake.close()
        return replace(old, problem=problem)

    def _add_new(self, rows: Rows, start: datetime) -> Rows:
        if not len(rows):
            return self._read_all(start)
        overlap_start = from_micros(int(rows["scored"].max())) - OVERLAP
        new = self.lake.scored_since(start, overlap_start, rows.versions)
        already_read = rows.hash[rows["scored"] >= to_micros(overlap_start)]
        new = new.take(~np.isin(new.hash, already_read))
        return concatenate(rows, new) if len(new) else rows

    def _read_all(self, start: datetime) -> Rows:
        """The newest rows from `start` on, at most about `max_rows`."""
        counts = self.lake.counts_by_ten_minutes(start)
        self._cut = start_of_newest(counts, self.max_rows) or EPOCH
        return self.lake.scored_from(max(start, self._cut))

    def _drop_excess(self, rows: Rows) -> Rows:
        """Drop the oldest rows above `max_rows`; the rest is copied, which frees their memory."""
        if len(rows) <= self.max_rows * 1.05:
            return rows
        self._cut = from_micros(int(rows["time"][-self.max_rows]))
        return rows.take(np.arange(len(rows) - self.max_rows, len(rows)))

    def _with_model(self, old: Snapshot) -> Snapshot:
        try:
            status, body = self.api.get("/model")
        except requests.RequestException as error:
            if old.api_problem is None:
                url, reason = self.api.url, _first_line(error)
                log.warning("event=api_unreachable url=%s reason=%s", url, reason)
            self.metrics.errors.labels("api").inc()
            return replace(old, api_problem="The API does not answer.")
        if status != 200:
            problem = str(body.get("detail") or "The API has no model yet.")
            return replace(old, api_problem=problem)
        return replace(old, model=body, api_problem=None)


def start_of_newest(counts: Sequence[tuple[datetime, int]], limit: int) -> datetime | None:
    """The earliest begin from which there are at most `limit` rows; None if all of them fit.

    `counts` are begins and row counts of short intervals, newest first. The newest interval always
    counts as fitting.
    """
    totals = accumulate(count for _, count in counts)
    fitting = sum(total <= limit for total in totals)
    return None if fitting == len(counts) else counts[max(fitting, 1) - 1][0]


def _drop_before(start: datetime, rows: Rows) -> Rows:
    """Drop older rows, an hour at a time; the rest is copied, which frees their memory."""
    if not len(rows) or rows["time"][0] >= to_micros(start - timedelta(hours=1)):
        return rows
    return rows.take(rows["time"] >= to_micros(start))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:_MAX_REASON]
