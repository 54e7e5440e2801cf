"""Conditions of time in SQL, with the partitions that can hold such rows."""

from datetime import datetime, timedelta

from dashboard.columns import micros

LATE = timedelta(hours=2)
"""An event time is at most this much after its append time, by which tables are divided."""

EARLY = timedelta(days=7)
"""An event time is at most this much before its append time."""


def sql_time(moment: datetime) -> str:
    """A moment as the tables hold it."""
    return f"""arrow_cast({micros(moment)}, 'Timestamp(Microsecond, Some("UTC"))')"""


def since(moment: datetime) -> str:
    """Rows of an event time from here on."""
    return f"date >= DATE '{(moment - LATE).date()}' AND event_time >= {sql_time(moment)}"


def until(moment: datetime) -> str:
    """Rows of an event time up to here."""
    return f"date <= DATE '{(moment + EARLY).date()}' AND event_time <= {sql_time(moment)}"


def around(near: datetime) -> str:
    """The partitions of rows of about this event time."""
    return f"date BETWEEN DATE '{(near - LATE).date()}' AND DATE '{(near + EARLY).date()}'"
