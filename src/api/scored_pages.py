"""Pages of `scored_transactions`, the newest first, from one version of the table.

The order is by event time, and by hash among equal times; it is total, since a hash is in the table
once. A page is read in two steps, so that memory is bounded: the first finds the event times of its
rows, from one column alone, and the second reads the rows between these times, some at once.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable

from core.lake import snapshot, sql_time
from core.row_filters import sql_text
from core.tables import EVENT_AFTER, EVENT_BEFORE, SCORED_TRANSACTIONS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Place(NamedTuple):
    """A row's place in the list."""

    event_time: datetime
    hash: str


class Listing(NamedTuple):
    """What is listed: SQL's condition, first and last event time, after which place, how many."""

    condition: str
    start: datetime
    end: datetime
    after: Place | None
    limit: int


class Page:
    """At most `limit` rows of a version of the table; raises `LakeUnreadableError`."""

    def __init__(self, table: DeltaTable | None, listing: Listing) -> None:
        self._listing = listing
        self._times: list[int] = []
        if table is None:
            return
        self._ask, self._source = snapshot(scored=table), scored_source(table)
        newest = (
            f"SELECT event_time FROM {self._source} WHERE {_where(listing, listing.after)}"
            f" ORDER BY 1 DESC LIMIT {listing.limit + 1}"
        )
        times = self._ask(newest)["event_time"].cast(pa.int64()).to_numpy()
        self._times = np.sort(times)[::-1].tolist()

    @property
    def count(self) -> int:
        """How many rows it has."""
        return min(len(self._times), self._listing.limit)

    @property
    def has_more(self) -> bool:
        """Whether rows come after it."""
        return len(self._times) > self._listing.limit

    def last(self) -> Place:
        """The place of its last row; it has one."""
        time = self._times[self.count - 1]
        same = self._times[: self.count].count(time)
        at = f"event_time = {sql_time(from_micros(time))}"
        hashes = self._ask(
            f"SELECT hash FROM {self._source} WHERE {_where(self._listing, self._listing.after)}"
            f" AND {at} ORDER BY hash LIMIT {same}"
        )
        return Place(from_micros(time), hashes["hash"][-1].as_py())

    def rows(self, columns: str, at_once: int) -> Iterator[pa.Table]:
        """The rows in order, at most `at_once` together; `columns` in SQL, time and hash among."""
        after = self._listing.after
        for first in range(0, self.count, at_once):
            last = min(first + at_once, self.count)
            narrow = self._listing._replace(start=from_micros(self._times[last - 1]))
            rows = self._ask(
                f"SELECT {columns} FROM {self._source} WHERE {_where(narrow, after)}"
                f" ORDER BY event_time DESC, hash LIMIT {last - first}"
            )
            yield rows
            after = Place(rows["event_time"][-1].as_py(), rows["hash"][-1].as_py())


def scored_source(table: DeltaTable) -> str:
    """The table in SQL; columns that it has not yet, of an earlier release, are null."""
    present = {field.name for field in table.schema().fields}
    nulls = [f"NULL AS {name}" for name in SCORED_TRANSACTIONS.names if name not in present]
    return f"(SELECT {', '.join(['*', *nulls])} FROM scored)" if nulls else "scored"


def from_micros(micros: int) -> datetime:
    """A time of microseconds since 1970; raises `OverflowError` beyond the calendar."""
    return _EPOCH + timedelta(microseconds=micros)


def to_micros(time: datetime) -> int:
    """A time in microseconds since 1970, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def _where(listing: Listing, after: Place | None) -> str:
    """The condition of rows after a place; the dates skip the files of days without a match."""
    start, end = listing.start, min(listing.end, after.event_time) if after else listing.end
    conditions = [
        f"date >= DATE '{start - EVENT_AFTER:%Y-%m-%d}'",
        f"date <= DATE '{end + EVENT_BEFORE:%Y-%m-%d}'",
        f"event_time BETWEEN {sql_time(start)} AND {sql_time(end)}",
        listing.condition,
    ]
    if after is not None:
        at = sql_time(after.event_time)
        conditions.append(f"(event_time < {at} OR hash > {sql_text(after.hash)})")
    return " AND ".join(conditions)
