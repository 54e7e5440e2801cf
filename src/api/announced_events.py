"""What is announced, as events: flagged transactions, and those that touch the watch list.

Each kind is read from its table in the order of its commits, by hash within one. That order is
total, and rows that were scored late come when they are scored. The place of a client is a place in
each kind, and the id of an event is the place after it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from deltalake import DeltaTable
from fastapi.sse import format_sse_event
from pydantic import TypeAdapter

from api.row_formats import JSON_COLUMNS, columns, stored_transaction
from api.schemas import StoredTransaction
from api.scored_pages import from_micros, scored_source, to_micros
from api.watch_schemas import WatchedEvent
from core.lake import snapshot, sql_time
from core.row_filters import NO_PATTERN, RowFilters, sql_text
from core.tables import WATCHED as WATCHED_TABLE
from core.transaction import NUMERIC_FIELDS
from core.watch_list import watched_sentence

Kind = Literal["flagged", "watched"]

EVENT_ID = r"^[0-9]{1,16}-([0-9a-f]{64})?-[0-9]{1,16}-([0-9a-f]{64})?$"


class EventPlace(NamedTuple):
    """A place in one kind: microsecond of the commit's scoring or matching, and hash."""

    micros: int = 0
    hash: str = ""


NoteMutes = Callable[[Sequence[dict[str, Any]]], None]

Places = Mapping[Kind, EventPlace]
"""A client's place in each kind."""


def write_id(places: Places) -> str:
    """The id of the event before these places."""
    return "-".join(f"{places[kind].micros}-{places[kind].hash}" for kind in KINDS)


def read_id(text: str) -> dict[Kind, EventPlace]:
    """The places after the event of an id, which fits `EVENT_ID`."""
    first, hash, second, other = text.split("-")
    return {"flagged": EventPlace(int(first), hash), "watched": EventPlace(int(second), other)}


class Event(NamedTuple):
    """One announced transaction, and its JSON."""

    kind: Kind
    place: EventPlace
    flagged_by: str | None
    patterns: tuple[str, ...]
    is_muted: bool
    data: str

    @property
    def key(self) -> tuple[str, str]:
        """What it is told by: a transaction may be flagged and watched."""
        return self.kind, self.place.hash

    def content(self, places: Places) -> bytes:
        """How it is sent; `places` are those after it."""
        return format_sse_event(event=self.kind, id=write_id(places), data_str=self.data)


class Wanted(NamedTuple):
    """What a client asks for; empty is everything."""

    kinds: Collection[str]
    flagged_by: Collection[str]
    patterns: Collection[str]
    muted: bool = True

    def has(self, event: Event) -> bool:
        """Whether an event is among it; a filter of flags leaves out what is watched.

        Without `muted` what a mute matches is left out.
        """
        if self.kinds and event.kind not in self.kinds or event.is_muted and not self.muted:
            return False
        if event.kind == "watched":
            return not self.flagged_by and not self.patterns
        by = not self.flagged_by or event.flagged_by in self.flagged_by
        names = event.patterns or (NO_PATTERN,)
        return by and (not self.patterns or not set(names).isdisjoint(self.patterns))


class _Source(NamedTuple):
    """How a kind is read: column of the commit's time, condition, columns, and a row's event."""

    time: str
    condition: str
    selected: str
    event: Callable[[Mapping[str, Any], EventPlace], Event]


_FLAGGED_JSON, _WATCHED_JSON = TypeAdapter(StoredTransaction), TypeAdapter(WatchedEvent)


def _flagged(row: Mapping[str, Any], place: EventPlace) -> Event:
    data = _FLAGGED_JSON.dump_json(stored_transaction(row)).decode()
    is_muted = row.get("muted_by") is not None
    return Event("flagged", place, row["flagged_by"], tuple(row["patterns"]), is_muted, data)


def _watched(row: Mapping[str, Any], place: EventPlace) -> Event:
    event = WatchedEvent(
        transaction_hash=row["hash"],
        event_time=row["event_time"],
        fee_rate=row["fee"] * 4 / row["weight"],
        explanation=watched_sentence(row["watched"], row["watched_count"]),
        watched=row["watched"],
        watched_count=row["watched_count"],
        watch_severity=row["watch_severity"],
        replaces=row["replaces"],
        **{name: row[name] for name in NUMERIC_FIELDS},  # type: ignore[typeddict-item]
    )
    return Event("watched", place, None, (), False, _WATCHED_JSON.dump_json(event).decode())


_SOURCES: Mapping[Kind, _Source] = {
    "flagged": _Source("scored_at", "is_anomaly", columns(JSON_COLUMNS, RowFilters()), _flagged),
    "watched": _Source("matched_at", "TRUE", ", ".join(WATCHED_TABLE.names), _watched),
}
KINDS: tuple[Kind, ...] = ("flagged", "watched")
TABLES: Mapping[Kind, str] = {"flagged": "scored_transactions", "watched": "watched"}


def newest_place(kind: Kind, latest: EventPlace, table: DeltaTable | None) -> EventPlace:
    """The place of the newest event of a kind up to `latest`; the first place if there is none."""
    if table is None:
        return EventPlace()
    time, condition = _SOURCES[kind][:2]
    rows = snapshot(scored=table)(
        f"SELECT {time} AS at, hash FROM scored"
        f" WHERE {condition} AND {time} <= {sql_time(from_micros(latest.micros))}"
        f" ORDER BY {time} DESC, hash DESC LIMIT 1"
    ).to_pylist()
    return EventPlace(to_micros(rows[0]["at"]), rows[0]["hash"]) if rows else EventPlace()


def events_after(
    kind: Kind, place: EventPlace, limit: int, note_mutes: NoteMutes, table: DeltaTable | None
) -> list[Event]:
    """The next events of a kind after a place; raises `LakeUnreadableError`.

    `note_mutes` sets `muted_by` of flagged rows, and may raise other errors.
    """
    if table is None:
        return []
    source, at = _SOURCES[kind], sql_time(from_micros(place.micros))
    table_or_view = scored_source(table) if kind == "flagged" else "scored"
    rows = snapshot(scored=table)(
        f"SELECT {source.selected} FROM {table_or_view}"
        f" WHERE {source.condition} AND {source.time} >= {at}"
        f" AND ({source.time} > {at} OR hash > {sql_text(place.hash)})"
        f" ORDER BY {source.time}, hash LIMIT {limit}"
    ).to_pylist()
    if kind == "flagged":
        note_mutes(rows)
    return [source.event(row, EventPlace(to_micros(row[source.time]), row["hash"])) for row in rows]
