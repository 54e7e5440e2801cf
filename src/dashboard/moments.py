"""Conditions of time in SQL, with the partitions that can hold such rows."""

from datetime import datetime

from core.lake import sql_time
from core.tables import EVENT_AFTER, EVENT_BEFORE


def since(moment: datetime) -> str:
    """Rows of an event time from here on."""
    return f"date >= DATE '{(moment - EVENT_AFTER).date()}' AND event_time >= {sql_time(moment)}"


def until(moment: datetime) -> str:
    """Rows of an event time up to here."""
    return f"date <= DATE '{(moment + EVENT_BEFORE).date()}' AND event_time <= {sql_time(moment)}"


def around(near: datetime) -> str:
    """The partitions of rows of about this event time."""
    first, last = (near - EVENT_AFTER).date(), (near + EVENT_BEFORE).date()
    return f"date BETWEEN DATE '{first}' AND DATE '{last}'"
