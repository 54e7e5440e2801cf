"""Announced transactions as they are committed, for clients that keep their connection open.

One reader polls the lake for all clients of a process, and keeps the newest events. A client that
continues after an event first gets what it has missed, from the lake. A place is never ahead of the
clock: what a clock that was ahead has scored is sent, and what is committed later comes after it.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from functools import partial
from itertools import islice
from typing import Any

from deltalake import DeltaTable
from fastapi import HTTPException
from fastapi.sse import format_sse_event

from api.announced_events import (
    KINDS,
    TABLES,
    Event,
    EventPlace,
    Kind,
    Places,
    Wanted,
    events_after,
    newest_place,
)
from api.lake_reads import LakeReads
from api.routes.anomalies import ScoredTable
from core.mutes import MutesReader
from core.settings import ApiSettings
from monitoring.api_metrics import ApiMetrics

KEPT_EVENTS = 2_000
"""Events that a slow client may be behind, in one process: some megabytes."""

ROWS_AT_ONCE = 500
POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
"""A comment is sent so often, so that no proxy takes the connection for dead."""

RETRY_MILLISECONDS = 3_000
"""After so long a browser connects again."""

_HEARTBEAT = format_sse_event(comment="no news")

_log = logging.getLogger(__name__)


class FlagFeed:
    """Gives clients the events; reads the lake while there are clients.

    Flags carry the mute that is in force when they are read from the lake. `closing` is set when
    the server closes. `clock` gives Unix seconds.
    """

    def __init__(
        self,
        scored: ScoredTable,
        mutes: MutesReader,
        reads: LakeReads,
        metrics: ApiMetrics,
        closing: asyncio.Event,
        settings: ApiSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        lake, origin = scored.lake, scored.origin
        self._mutes = mutes
        self._tables = {kind: ScoredTable(lake, origin, TABLES[kind]) for kind in KINDS}
        self._reads, self._metrics, self._closing = reads, metrics, closing
        self._settings, self._clock = settings, clock
        self._starting = asyncio.Lock()
        self._clients = 0
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._places: dict[Kind, EventPlace] = {}
        self._versions: dict[Kind, int] = {}
        self._kept: deque[tuple[Event, bytes]] = deque(maxlen=KEPT_EVENTS)
        self._count = 0  # of all events, those no longer kept included

    async def join(self) -> None:
        """Count a client in; raises `HTTPException` 503 for one too many, or without a lake.

        `leave` counts it out.
        """
        if self._clients >= (most := self._settings.api_stream_clients):
            detail = f"{most} clients listen already: try again shortly."
            raise HTTPException(503, detail)
        self._clients += 1
        try:
            async with self._starting:
                if self._reader is None:
                    self._places, self._versions = await self._reads.run(self._newest), {}
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
        self, after: Places | None, wanted: Wanted, taken: Callable[[], None]
    ) -> AsyncIterator[bytes]:
        """What a client is sent; `taken` is called whenever it has taken a part.

        The last event is `end`, with the reason as its data.
        """
        place = self._count
        has: Places = {}
        last: dict[Kind, set[str]] = {}
        sent = time.monotonic()
        deadline = sent + self._settings.api_stream_seconds
        yield format_sse_event(retry=RETRY_MILLISECONDS)
        if after is not None:
            place -= len(self._kept)
            has = dict(after)
            try:
                async for page in self._missed(has, deadline):
                    yield _content(page, wanted)
                    taken()
                    last[page[0][0].kind] = {event.place.hash for event, _ in page}
            except HTTPException as error:
                yield self._end("lake", error.detail)
                return
            has = {kind: self._past(has[kind]) for kind in KINDS}
        while (events := self._after(place)) is not None:
            place += len(events)
            news = [e for e in events if e[0].place > has.get(e[0].kind, EventPlace())]
            news = [e for e in news if e[0].place.hash not in last.get(e[0].kind, ())]
            content = _content(news, wanted)
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

    async def _missed(
        self, places: dict[Kind, EventPlace], deadline: float
    ) -> AsyncIterator[list[tuple[Event, bytes]]]:
        """Pages of the events after places, which move on, until the last one or the deadline."""
        for kind in KINDS:
            place = self._past(places[kind])
            while page := await self._reads.run(self._next, kind, place):
                sent = []
                for event in page:
                    self._move_on(places, event)
                    sent.append((event, event.content(places)))
                yield sent
                whole = len(page) == ROWS_AT_ONCE and places[kind] > place
                if not whole or time.monotonic() >= deadline:
                    break
                place = places[kind]

    def _next(self, kind: Kind, place: EventPlace) -> list[Event]:
        read = partial(events_after, kind, place, ROWS_AT_ONCE, self._note_mutes)
        return self._tables[kind].read(read)

    def _note_mutes(self, rows: Sequence[dict[str, Any]]) -> None:
        self._tables["flagged"].note_mutes(rows, self._mutes.in_force())

    def _newest(self) -> dict[Kind, EventPlace]:
        now = self._now()
        return {kind: self._tables[kind].read(partial(newest_place, kind, now)) for kind in KINDS}

    def _after(self, place: int) -> list[tuple[Event, bytes]] | None:
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
                page = await self._reads.run(self._news)
            except Exception as error:  # also what nobody foresaw: the clients still wait
                if problem != str(error):  # the same failure of every turn is logged once
                    _log.warning("event=feed_failed reason=%s", error, exc_info=error)
                problem, page = str(error), []
            else:
                problem = None
            if not self._add(page) or len(page) < ROWS_AT_ONCE:
                await asyncio.sleep(POLL_SECONDS)
        self._reader = None
        self._kept.clear()

    def _news(self) -> list[Event]:
        """The events after the newest ones, of the kinds whose table has changed."""
        return [
            event
            for kind in KINDS
            for event in self._tables[kind].read(partial(self._news_of, kind))
        ]

    def _news_of(self, kind: Kind, table: DeltaTable | None) -> list[Event]:
        if table is None or table.version() == self._versions.get(kind):
            return []
        version = table.version()
        page = events_after(kind, self._places[kind], ROWS_AT_ONCE, self._note_mutes, table)
        if len(page) < ROWS_AT_ONCE:
            self._versions[kind] = version
        return page

    def _add(self, page: list[Event]) -> bool:
        """Keep the events that are not kept yet; whether there was one."""
        kept = {event.key for event, _ in self._kept}
        new = [event for event in page if event.key not in kept]
        for event in page:
            self._move_on(self._places, event)
            if event.key not in kept:
                self._kept.append((event, event.content(self._places)))
        self._count += len(new)
        self._metrics.stream_events.inc(len(new))
        if new:
            self._changed.set()
            self._changed = asyncio.Event()
        return bool(new)

    def _move_on(self, places: dict[Kind, EventPlace], event: Event) -> None:
        """Let its kind's place be the one after an event, unless that is ahead of the clock."""
        if event.place <= self._now():
            places[event.kind] = event.place

    def _past(self, place: EventPlace) -> EventPlace:
        return min(place, self._now())

    def _now(self) -> EventPlace:
        return EventPlace(int(self._clock() * 1e6), "")


def _content(events: Collection[tuple[Event, bytes]], wanted: Wanted) -> bytes:
    return b"".join(content for event, content in events if wanted.has(event))
