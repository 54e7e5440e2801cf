"""Scores what is in `raw_transactions` and not yet in `scored_transactions`.

Both have a row for each hash, in the partition of the same date: a date whose counts differ has
something to score. That is known from the log alone, and mends itself whatever came between: no
champion yet, a crash between two writes.
"""

from datetime import UTC, date, datetime

from data_processing import transforms
from data_processing.arrival import JUDGED, scoring
from data_processing.foundation import spark_schema
from data_processing.intake import ChampionCopies
from data_processing.sinks import Sinks


def unscored_dates(sinks: Sinks) -> dict[date, int]:
    """Dates with transactions that are not scored, oldest first, and how many they are."""
    scored = sinks.rows_by_date("scored_transactions")
    raw = sinks.rows_by_date("raw_transactions")
    missing = {day: rows - scored.get(day, 0) for day, rows in sorted(raw.items())}
    return {day: rows for day, rows in missing.items() if rows > 0}


def score_date(sinks: Sinks, day: date, count: int, champion: ChampionCopies) -> datetime:
    """Score the rows of one date that are not scored yet, about `count`, in one commit.

    Returns its `scored_at`.
    """
    scored_at = datetime.now(UTC)
    raw, scored = (
        sinks.frame(name).where(f"date = '{day}'")
        for name in ("raw_transactions", "scored_transactions")
    )
    unscored = raw.join(scored.select("hash"), "hash", "left_anti").select(*raw.columns)
    judged = unscored.mapInArrow(scoring(champion.current()), spark_schema(JUDGED))
    rows = transforms.scored_rows(judged, scored_at)
    sinks.append("scored_transactions", rows, count)
    return scored_at
