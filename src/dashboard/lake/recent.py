"""The rows that every viewer shares: read once, then only what is new, by one thread.

A snapshot is immutable: a view is computed from one, and keeps it while the next is made.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
import pyarrow as pa
import requests

from core.lake import OriginMismatchError
from dashboard.lake.rows import EPOCH, Rows, empty, joined, micros, moment
from dashboard.lake.sources import LAKE_ERRORS, Api, Lake
from monitoring.dashboard_metrics import DashboardMetrics

log = logging.getLogger(__name__)

STATS_KEPT = timedelta(days=8)
"""Ten-minute windows at hand, 144 a day: the longest preset has all of its own."""

OVERLAP = timedelta(seconds=90)
"""Rows scored this long before the newest are asked for again: clocks may step back a little."""


@dataclass(frozen=True)
class Snapshot:
    """What is known at one moment. `problem` and `api_problem` are sentences for the viewer.

    `rows` are all from `since` on.
    """

    taken: datetime
    rows: Rows = field(default_factory=empty)
    since: datetime = EPOCH
    stats: pa.Table | None = None
    exists: bool = False
    arrived: datetime | None = None
    problem: str | None = "Reading the lake for the first time."
    model: dict[str, Any] | None = None
    api_problem: str | None = None
    serial: int = 0


class Recent:
    """Follows the lake and the API; `snapshot` is what they said last."""

    def __init__(
        self,
        lake: Lake,
        api: Api,
        clock: Callable[[], datetime],
        metrics: DashboardMetrics,
        keep: timedelta,
        every_seconds: float,
        most_rows: int,
    ) -> None:
        self.lake, self.api, self.clock, self.metrics = lake, api, clock, metrics
        self.keep, self.every_seconds, self.most_rows = keep, every_seconds, most_rows
        self.snapshot = Snapshot(clock())
        self._identity: str | None = None
        self._cut = EPOCH
        self._lock, self._stopped = Lock(), Event()
        self._thread = Thread(target=self._follow, name="recent-rows", daemon=True)

    def start(self) -> None:
        """Follow on a thread of its own until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                self.refresh()
            except Exception:  # the page would stand still for ever if this thread ended
                log.exception("event=refresh_failed")
                self.metrics.errors.labels("lake").inc()
            self._stopped.wait(self.every_seconds)

    def refresh(self) -> Snapshot:
        """Read what is new. What cannot be read stays as it was, and `problem` says why."""
        with self._lock, self.metrics.refresh_seconds.time():
            now = self.clock()
            snapshot = replace(self.snapshot, taken=now, serial=self.snapshot.serial + 1)
            snapshot = self._ask_api(self._read_lake(snapshot))
            self.metrics.rows.set(len(snapshot.rows))
            self.snapshot = snapshot
            return snapshot

    def _read_lake(self, old: Snapshot) -> Snapshot:
        try:
            start = old.taken - self.keep
            identity = self.lake.identity()
            if identity is None and self._identity is not None:
                return self._failed(old, f"{self.lake.uri} holds no scored transactions any more.")
            rows = old.rows if identity in (self._identity, None) else empty()
            rows = self._newest(_since(self._with_new(rows, start), start))
            arrived = self.lake.newest_arrival(old.taken - timedelta(days=2))
            new = replace(
                old,
                rows=rows,
                since=max(start, self._cut),
                stats=self.lake.stats_since(old.taken - STATS_KEPT),
                arrived=arrived,
                exists=identity is not None,
                problem=None,
            )
        except OriginMismatchError as error:
            return self._failed(replace(old, rows=empty(), stats=None), str(error))
        except LAKE_ERRORS as error:
            return self._failed(old, f"The lake cannot be read just now ({_short(error)}).")
        self._identity = identity or self._identity
        self.metrics.refreshed.set(old.taken.timestamp())
        return new

    def _failed(self, old: Snapshot, problem: str) -> Snapshot:
        if old.problem != problem:
            log.warning("event=lake_unreadable reason=%s", problem)
        self.metrics.errors.labels("lake").inc()
        self.lake.close()
        return replace(old, problem=problem)

    def _with_new(self, rows: Rows, start: datetime) -> Rows:
        if not len(rows):
            return self._all(start)
        newest = moment(int(rows["scored"].max()))
        new = self.lake.scored_since(start, newest - OVERLAP, rows.names)
        known = rows.hash[rows["scored"] >= micros(newest - OVERLAP)]
        new = new.take(~np.isin(new.hash, known))
        return joined(rows, new) if len(new) else rows

    def _all(self, start: datetime) -> Rows:
        """The newest rows from `start` on, at most about `most_rows`."""
        self._cut = beginning(self.lake.ten_minutes(start), self.most_rows) or EPOCH
        return self.lake.scored_from(max(start, self._cut))

    def _newest(self, rows: Rows) -> Rows:
        """Let the oldest go when there are too many; a copy, so that their memory is freed."""
        if len(rows) <= self.most_rows * 1.05:
            return rows
        self._cut = moment(int(rows["time"][-self.most_rows]))
        return rows.take(np.arange(len(rows) - self.most_rows, len(rows)))

    def _ask_api(self, old: Snapshot) -> Snapshot:
        try:
            status, answer = self.api.get("/model")
        except requests.RequestException as error:
            if old.api_problem is None:
                log.warning("event=api_unreachable reason=%s", _short(error))
            self.metrics.errors.labels("api").inc()
            return replace(old, api_problem="The API does not answer.")
        if status != 200:
            said = str(answer.get("detail") or "The API has no model yet.")
            return replace(old, api_problem=said)
        return replace(old, model=answer, api_problem=None)


def beginning(windows: Sequence[tuple[datetime, int]], most: int) -> datetime | None:
    """Since when there are at most `most` rows; None where there are no more altogether.

    `windows` are the beginnings and rows of short times, newest first; that one always counts.
    """
    totals = accumulate(count for _, count in windows)
    inside = sum(total <= most for total in totals)
    return None if inside == len(windows) else windows[max(inside, 1) - 1][0]


def _since(rows: Rows, start: datetime) -> Rows:
    """Drop what is older; copies, so that the dropped rows' memory is freed, an hour at a time."""
    if not len(rows) or rows["time"][0] >= micros(start - timedelta(hours=1)):
        return rows
    return rows.take(rows["time"] >= micros(start))


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
