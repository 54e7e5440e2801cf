"""How fast transactions come now, how soon they are scored, and when the last one was."""

from datetime import datetime, timedelta

import numpy as np

from dashboard.lake.rows import Rows, from_micros, to_micros

PERIOD = timedelta(minutes=5)
"""The present is the last five minutes."""

STALE_SECONDS = 60
"""Without a newly scored transaction for this long the page says so: ten micro-batches and more."""


def newest_scored(rows: Rows) -> datetime | None:
    """When the newest of them was scored; None without any."""
    return from_micros(int(rows["scored"].max())) if len(rows) else None


def scoring_lag(rows: Rows, now: datetime) -> float:
    """Seconds from first seen to scored that 95 % of the last five minutes' transactions take.

    NaN without any. Those first seen in a block do not count: their time is often that of a
    mempool which this stack did not see.
    """
    recent = (rows["scored"] >= to_micros(now - PERIOD)) & ~rows["in_block"]
    if not recent.any():
        return float("nan")
    return float(np.percentile(rows["scored"][recent] - rows["time"][recent], 95)) / 1e6


def present_rate(rows: Rows, now: datetime) -> float:
    """Transactions a second in the last five minutes; of younger rows, since the first of them.

    0 where there is none.
    """
    recent = rows.between(now - PERIOD, now)
    if not len(recent):
        return 0.0
    since = max(to_micros(now - PERIOD), int(rows["time"][0]))
    return len(recent) / max((to_micros(now) - since) / 1e6, 1.0)
