"""Sums the ended days of busy addresses, so that their pages need not read them.

The table `address_days` says which dates are done, and whether they still hold. A date without a
busy address has no row there: it is looked at once more after a restart.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from core.address_days import summed_day
from core.lake import LakeUnreadableError, rows
from data_processing.lake_tables import LakeTables
from data_processing.micro_batch import MicroBatch

log = logging.getLogger(__name__)

_CHECK_SECONDS = 60.0

Counts = tuple[int, int]
"""The rows of a date in `movements` and in `scored_transactions`."""


class AddressDays:
    """A chore: once a minute it sums one date that has ended and has not changed for a minute."""

    name = "address_days"

    def __init__(
        self,
        tables: LakeTables,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tables, self._clock, self._now = tables, clock, now
        self._next_check = clock()
        self._before: dict[date, Counts] = {}
        self._summed: dict[date, Counts] | None = None

    def on_batch(self, batch: MicroBatch) -> None:
        """Nothing to note: each run inspects the tables themselves."""

    def due(self) -> bool:
        """Whether a minute has passed."""
        return self._clock() >= self._next_check

    def run(self) -> None:
        """Sum the newest date that is due, if there is one."""
        self._next_check = self._clock() + _CHECK_SECONDS
        if self._summed is None:
            self._summed = self._in_table()
        counts = self._counts()
        due = [
            day
            for day, now in counts.items()
            if now == self._before.get(day) and now != self._summed.get(day)
        ]
        self._before = counts
        if due:
            self._sum(day := max(due), counts[day])
            self._summed[day] = counts[day]

    def _sum(self, day: date, counts: Counts) -> None:
        started = time.monotonic()
        try:
            summed = summed_day(self._ask, day, *counts)
        except LakeUnreadableError as error:  # pages of its addresses take longer, no more
            log.warning("event=addresses_not_summed date=%s reason=%s", day, error)
            return
        if len(summed) or day in self._tables.rows_by_date("address_days"):
            self._tables.replace_dates("address_days", summed, [day])
        log.info(
            "event=addresses_summed date=%s addresses=%d seconds=%.1f",
            *(day, len(summed), time.monotonic() - started),
        )

    def _counts(self) -> dict[date, Counts]:
        """Of each date that has ended."""
        today = self._now().date()
        movements, scores = map(self._tables.rows_by_date, ("movements", "scored_transactions"))
        return {day: (n, scores.get(day, 0)) for day, n in movements.items() if day < today}

    def _in_table(self) -> dict[date, Counts]:
        sql = "SELECT DISTINCT date, movements, scores FROM address_days"
        found = self._tables.query(sql, "address_days").to_pylist()
        return {row["date"]: (row["movements"], row["scores"]) for row in found}

    def _ask(self, sql: str, *names: str) -> list[dict[str, Any]]:
        return rows(sql, **{name: self._tables.open(name) for name in names})
