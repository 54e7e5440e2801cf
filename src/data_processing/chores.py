"""Work between micro-batches: each chore says when it is due, and does one bounded piece."""

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Protocol

import pyarrow.compute as pc

from core.lake import sql_time
from data_processing import backlog, windows
from data_processing.intake import ChampionCopies, Taken
from data_processing.sinks import Sinks
from monitoring.stream_metrics import StreamMetrics


class Chore(Protocol):
    """A kind of work; `name` is its label in the metrics."""

    name: str

    def notice(self, taken: Taken) -> None:
        """Take note of what a micro-batch brought."""

    def due(self) -> bool:
        """Whether there is something to do now."""
        ...

    def run(self) -> None:
        """Do one piece of it."""


class Statistics:
    """Keeps `transaction_stats` up to date: windows that changed, not more often than set."""

    name = "statistics"

    def __init__(
        self,
        sinks: Sinks,
        seconds: float,
        retention_days: int,
        metrics: StreamMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sinks, self._seconds, self._metrics, self._clock = sinks, seconds, metrics, clock
        self._changed = windows.outdated(sinks, timedelta(days=retention_days))
        self._not_before = 0.0

    def notice(self, taken: Taken) -> None:
        """The windows of new transactions change."""
        self._changed |= windows.windows_of(taken.new["event_time"])

    def flagged(self, times: set[datetime]) -> None:
        """Windows change too when transactions in them are scored later; `times` as event times."""
        self._changed |= {windows.window_of(at) for at in times}

    def due(self) -> bool:
        """Whether windows changed and the last update is long enough ago."""
        return bool(self._changed) and self._clock() >= self._not_before

    def run(self) -> None:
        """Update every window that changed."""
        changed, self._changed = self._changed, set()
        self._metrics.rows.labels("transaction_stats").inc(windows.update(self._sinks, changed))
        self._not_before = self._clock() + self._seconds


class Backlog:
    """Scores transactions that were there before the champion, a date at a time."""

    name = "backlog"

    def __init__(
        self,
        sinks: Sinks,
        champion: ChampionCopies,
        metrics: StreamMetrics,
        scored: Callable[[datetime], None],
    ) -> None:
        self._sinks, self._champion, self._metrics = sinks, champion, metrics
        self._scored = scored
        self._missing: dict[date, int] = backlog.unscored_dates(sinks)
        self._tell()

    def notice(self, taken: Taken) -> None:
        """Without a champion the new transactions join the backlog."""
        if taken.scored:
            return
        for at in taken.new["append_time"].to_pylist():
            self._missing[at.date()] = self._missing.get(at.date(), 0) + 1
        self._tell()

    def due(self) -> bool:
        """Whether something is to be scored and there is a champion to do it."""
        return bool(self._missing) and self._champion.current().version is not None

    def run(self) -> None:
        """Score the oldest date, and say when."""
        day = min(self._missing)
        scored_at = backlog.score_date(self._sinks, day, self._missing[day], self._champion)
        self._metrics.rows.labels("scored_transactions").inc(self._missing.pop(day))
        self._tell()
        self._scored(scored_at)

    def _tell(self) -> None:
        self._metrics.unscored.set(sum(self._missing.values()))


def flagged_times(sinks: Sinks, scored_at: datetime) -> set[datetime]:
    """The event times of the transactions flagged in one commit."""
    rows = sinks.ask(
        "SELECT event_time FROM scored_transactions "
        f"WHERE is_anomaly AND scored_at = {sql_time(scored_at)}",
        "scored_transactions",
    )
    return set(pc.unique(rows["event_time"]).to_pylist())
