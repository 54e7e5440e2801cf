"""Scores the rows of `raw_transactions` that are not in `scored_transactions` yet.

Both tables have a row for each hash, in the partition of the same date: a date with different row
counts has unscored rows. Delta's log has the counts, so no data is read to find them. Rows are left
unscored while there is no champion, and by a crash between the two writes.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime

from core.tables import UNSCORED
from data_processing.going_rates import rates_of_date
from data_processing.judging import scored_rows
from data_processing.lake_tables import LakeTables
from data_processing.last_spenders import replaced_fees
from data_processing.micro_batch import MicroBatch
from data_processing.worker_scoring import ChampionBroadcast, Surroundings
from monitoring.stream_metrics import StreamMetrics


class Backlog:
    """A chore: scores what was committed without a champion, one date at a time."""

    name = "backlog"

    def __init__(
        self,
        tables: LakeTables,
        champion: ChampionBroadcast,
        metrics: StreamMetrics,
        on_scored: Callable[[datetime], None],
    ) -> None:
        self._tables, self._champion, self._metrics = tables, champion, metrics
        self._on_scored = on_scored
        self._unscored: dict[date, int] = unscored_dates(tables)
        self._set_gauge()

    def on_batch(self, batch: MicroBatch) -> None:
        """Count the new transactions of a micro-batch that had no champion."""
        if batch.scored or not batch.new.num_rows:
            return
        self._unscored = unscored_dates(self._tables)
        self._set_gauge()

    def due(self) -> bool:
        """Whether there are unscored rows and a champion."""
        return bool(self._unscored) and self._champion.available

    def run(self) -> None:
        """Score the oldest date, and pass the commit's `scored_at` to `on_scored`."""
        day = min(self._unscored)
        scored_at = score_date(self._tables, day, self._unscored[day], self._champion)
        self._metrics.rows.labels("scored_transactions").inc(self._unscored.pop(day))
        self._set_gauge()
        self._on_scored(scored_at)

    def _set_gauge(self) -> None:
        self._metrics.unscored.set(sum(self._unscored.values()))


def unscored_dates(tables: LakeTables) -> dict[date, int]:
    """Dates with unscored transactions, oldest first, and the number of those."""
    scored = tables.rows_by_date("scored_transactions")
    raw = tables.rows_by_date("raw_transactions")
    missing = {day: rows - scored.get(day, 0) for day, rows in sorted(raw.items())}
    return {day: rows for day, rows in missing.items() if rows > 0}


def score_date(tables: LakeTables, day: date, count: int, champion: ChampionBroadcast) -> datetime:
    """Score the unscored rows of one date, about `count`, in one commit; return its `scored_at`."""
    scored_at = datetime.now(UTC)
    raw, scored = (
        tables.frame(name).where(f"date = '{day}'")
        for name in ("raw_transactions", "scored_transactions")
    )
    unscored = raw.join(scored.select("hash"), "hash", "left_anti").selectExpr(*UNSCORED.names)
    sql = f"SELECT hash, replaced_fee FROM replacements WHERE date = DATE '{day}'"
    replaced = replaced_fees(tables.query(sql, "replacements").to_pylist())
    beside = Surroundings(rates_of_date(tables, day), replaced, {})
    with scored_rows(tables, unscored, champion.current(), beside, scored_at) as rows:
        tables.append("scored_transactions", rows, count)
    return scored_at
