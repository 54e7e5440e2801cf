"""Flagged transactions as they are committed, for clients that keep their connection open.

One reader polls the lake for all clients of a process, and keeps the newest events. The order is by
the time of scoring, which is one for each commit of the stream, and by hash: it is total, and rows
that were scored late come when they are scored. A client that continues after an event reads what
it has missed from the lake.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from deltalake import DeltaTable
from fastapi import HTTPException
from fastapi.sse import format_sse_event
from pydantic import TypeAdapter

from api.lake_reads import LakeReads
from api.routes.anomalies import ScoredTable
from api.row_formats import JSON_COLUMNS, columns, stored_transaction
from api.schemas import StoredTransaction
from api.scored_pages import from_micros, scored_source, to_micros
from core.lake import snapshot, sql_time
from core.row_filters import NO_PATTERN, RowFilters, sql_text
from core.settings import ApiSettings
from monitoring.api_metrics import ApiMetrics

ANNOUNCED = "is_anomaly"
"""The condition of rows that are events."""

KEPT_EVENTS = 2_000
"""Events that a slow client may be behind, in one process: some megabytes."""

ROWS_AT_ONCE = 500
POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
"""A comment is sent so often, so that no proxy takes the connection for dead."""

RETRY_MILLISECONDS = 3_000
"""After so long a browser connects again."""

_HEARTBEAT = format_sse_event(comment="no news")

_JSON = TypeAdapter(StoredTransaction)
_log = logging.getLogger(__name__)


class EventPlace(NamedTuple):
    """The place of an event: microsecond of its scoring, and hash."""

    micros: int
    hash: str

    @classmethod
    def from_id(cls, text: str) -> "EventPlace":
        """Read the id of an event."""
        micros, hash = text.split("-")
        return cls(int(micros), hash)

    @property
    def id(self) -> str:
        """The id of an event."""
        return f"{self.micros}-{self.hash}"


class FlagEvent(NamedTuple):
    """A flagged transaction, and how it is sent."""

    place: EventPlace
    flagged_by: str
    patterns: tuple[str, ...]
    content: bytes


class Wanted(NamedTuple):
    """What a client asks for; empty is everything."""

    flagged_by: Collection[str]
    patterns: Collection[str]

    def has(self, event: FlagEvent) -> bool:
        """Whether an event is among it."""
        by = not self.flagged_by or event.flagged_by in self.flagged_by
        names = event.patterns or (NO_PATTERN,)
        return by and (not self.patterns or not set(names).isdisjoint(self.patterns))


class FlagFeed:
    """Gives clients the events; reads the lake while there are clients.

    `closing` is set when the server closes. `clock` gives Unix seconds.
    """

    def __init__(
        self,
        scored: ScoredTable,
        reads: LakeReads,
        metrics: ApiMetrics,
        closing: asyncio.Event,
        settings: ApiSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._scored, self._metrics, self._closing = scored, metrics, closing
        self._most_clients, self._most_seconds = (
            settings.api_stream_clients,
            settings.api_stream_seconds,
        )
        self._clock = clock
        self._reads = reads
        self._starting = asyncio.Lock()
        self._clients = 0
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._place = EventPlace(0, "")
        self._version: int | None = None
        self._kept: deque[FlagEvent] = deque(maxlen=KEPT_EVENTS)
        self._count = 0  # of all events, those no longer kept included

    async def join(self) -> None:
        """Count a client in; raises `HTTPException` 503 for one too many, or without a lake.

        `leave` counts it out.
        """
        if self._clients >= self._most_clients:
            detail = f"{self._most_clients} clients listen already: try again shortly."
            raise HTTPException(503, detail)
        self._clients += 1
        try:
            async with self._starting:
                if self._reader is None:
                    self._place = await self._reads.run(self._scored.read, _newest)
                    self._version = None
                    self._reader = asyncio.create_task(self._read())
        except BaseException:
            self._clients -= 1
            raise
        self._metrics.streams.set(self._clients)

    def leave(self) -> None:
        """Count a client out."""
        self._clients -= 1
        self._metrics.streams.set(self._clients)

    async def events(
        self, after: EventPlace | None, wanted: Wanted, taken: Callable[[], None]
    ) -> AsyncIterator[bytes]:
        """What a client is sent; `taken` is called whenever it has taken a part.

        The last event is `end`, with the reason as its data.
        """
        place = self._count
        missed: Collection[str] = ()
        sent = time.monotonic()
        deadline = sent + self._most_seconds
        yield format_sse_event(retry=RETRY_MILLISECONDS)
        if after is not None:
            place -= len(self._kept)
            try:
                async for page in self._missed(after, deadline):
                    yield _content(page, wanted)
                    taken()
                    after, missed = page[-1].place, {event.place.hash for event in page}
            except HTTPException as error:
                yield self._end("lake", error.detail)
                return
            after = self._past(after)
        while (events := self._after(place)) is not None:
            place += len(events)
            news = [e for e in events if after is None or e.place > after]
            content = _content([e for e in news if e.place.hash not in missed], wanted)
            if self._closing.is_set():
                yield self._end("restart", "The service closes: connect again.")
                return
            if time.monotonic() >= deadline:
                yield self._end("time", "A connection lasts no longer: connect again.")
                return
            if content or time.monotonic() >= sent + HEARTBEAT_SECONDS:
                yield content or _HEARTBEAT
                sent = time.monotonic()
            elif not events:
                await self._wait(min(sent + HEARTBEAT_SECONDS, deadline))
            taken()
        yield self._end("slow", "Too many events wait: connect again after the last one taken.")

    def _end(self, reason: str, words: str) -> bytes:
        self._metrics.streams_ended.labels(reason).inc()
        data = json.dumps({"reason": reason, "detail": words})
        return format_sse_event(event="end", data_str=data)

    async def _missed(self, after: EventPlace, deadline: float) -> AsyncIterator[list[FlagEvent]]:
        """Pages of the events after a place, from the lake, until the last one or the deadline."""
        place = self._past(after)
        while page := await self._reads.run(self._scored.read, partial(_after, place)):
            yield page
            if len(page) < ROWS_AT_ONCE or time.monotonic() >= deadline:
                return
            place = page[-1].place

    def _after(self, place: int) -> list[FlagEvent] | None:
        """The kept events from a count on; None where some are no longer kept."""
        first = self._count - len(self._kept)
        return None if place < first else list(islice(self._kept, place - first, None))

    async def _wait(self, until: float) -> None:
        """Wait for something new, for the server's closing, or until a time."""
        waits = [asyncio.create_task(each.wait()) for each in (self._changed, self._closing)]
        seconds = max(until - time.monotonic(), 0)
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def _read(self) -> None:
        """Poll the lake until the last client has left."""
        problem = None
        while self._clients:
            try:
                page = await self._reads.run(self._scored.read, self._news)
            except Exception as error:  # also what nobody foresaw: the clients still wait
                if problem != str(error):  # the same failure of every turn is logged once
                    _log.warning("event=feed_failed reason=%s", error, exc_info=error)
                problem, page = str(error), []
            else:
                problem = None
            self._add(page)
            if len(page) < ROWS_AT_ONCE:
                await asyncio.sleep(POLL_SECONDS)
        self._reader = None
        self._kept.clear()

    def _news(self, table: DeltaTable | None) -> list[FlagEvent]:
        """The events after the newest one, where the table has changed."""
        if table is None or table.version() == self._version:
            return []
        version = table.version()
        page = _after(self._past(self._place), table)
        if len(page) < ROWS_AT_ONCE:
            self._version = version
        return page

    def _add(self, page: list[FlagEvent]) -> None:
        kept = {event.place.hash for event in self._kept}
        fresh = [event for event in page if event.place.hash not in kept]
        if page:
            self._place = page[-1].place
        if fresh:
            self._kept.extend(fresh)
            self._count += len(fresh)
            self._metrics.stream_events.inc(len(fresh))
            self._changed.set()
            self._changed = asyncio.Event()

    def _past(self, place: EventPlace) -> EventPlace:
        """The place, but none ahead of the clock: one that was ahead for once hides no event."""
        return min(place, EventPlace(int(self._clock() * 1e6), ""))


def _content(events: Collection[FlagEvent], wanted: Wanted) -> bytes:
    return b"".join(event.content for event in events if wanted.has(event))


def _newest(table: DeltaTable | None) -> EventPlace:
    """The place of the newest event; the first place of all while there is none."""
    if table is None:
        return EventPlace(0, "")
    rows = snapshot(scored=table)(
        f"SELECT scored_at, hash FROM scored WHERE {ANNOUNCED}"
        " ORDER BY scored_at DESC, hash DESC LIMIT 1"
    ).to_pylist()
    return (
        EventPlace(to_micros(rows[0]["scored_at"]), rows[0]["hash"]) if rows else EventPlace(0, "")
    )


def _after(place: EventPlace, table: DeltaTable | None) -> list[FlagEvent]:
    """The next events after a place, `ROWS_AT_ONCE` at most."""
    if table is None:
        return []
    at = sql_time(from_micros(place.micros))
    rows = snapshot(scored=table)(
        f"SELECT {columns(JSON_COLUMNS, RowFilters())} FROM {scored_source(table)}"
        f" WHERE {ANNOUNCED} AND scored_at >= {at}"
        f" AND (scored_at > {at} OR hash > {sql_text(place.hash)})"
        f" ORDER BY scored_at, hash LIMIT {ROWS_AT_ONCE}"
    )
    return [_event(row) for row in rows.to_pylist()]


def _event(row: Mapping[str, Any]) -> FlagEvent:
    place = EventPlace(to_micros(row["scored_at"]), row["hash"])
    text = _JSON.dump_json(stored_transaction(row)).decode()
    content = format_sse_event(event="anomaly", id=place.id, data_str=text)
    return FlagEvent(place, row["flagged_by"], tuple(row["patterns"]), content)
