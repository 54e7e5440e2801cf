"""The route that sends flagged transactions as they are committed, as server-sent events."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict, Field

from api.announced_events import EVENT_ID, Kind, Wanted, read_id
from api.downloads import PartedResponse
from api.errors import error_responses
from api.flag_feed import FlagFeed
from api.middleware import RequestsInFlight
from api.row_query import FLAGGED_BY, PATTERNS, split_names

_MEDIA_TYPE = "text/event-stream"

_EXAMPLE = f"""retry: 3000

event: flagged
data: {{"transaction_hash": "{"ab" * 32}", "anomaly_score": 0.71, ...}}
id: 1796034000000000-{"ab" * 32}-0-

: no news

event: end
data: {{"reason": "time", "detail": "A connection lasts no longer: connect again."}}

"""

_EVENT = {
    "type": "object",
    "description": "One event",
    "properties": {
        "event": {"type": "string", "enum": ["flagged", "watched", "end"]},
        "id": {"type": "string", "pattern": EVENT_ID},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "retry": {"type": "integer", "minimum": 0},
    },
}

_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `flagged`, each with an object as `/anomalies` has it, and"
        " `watched`, of what touches the watch list; comments while there are none; `end` with"
        " the reason before the service ends it",
        "content": {_MEDIA_TYPE: {"schema": _EVENT, "example": _EXAMPLE}},
    }
}


class EventStream(PartedResponse):
    """Says in the document what is sent."""

    media_type = _MEDIA_TYPE


class StreamQuery(BaseModel):
    """Which events a client wants."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: str | None = Field(
        None,
        pattern=EVENT_ID,
        description="Id of the last event that the client has; what came after it is sent first",
    )
    kind: Kind | None = Field(
        None, description="Only what is flagged, or only what is watched; by default both"
    )
    flagged_by: str | None = FLAGGED_BY
    pattern: str | None = PATTERNS
    muted: bool = Field(
        True, description="`false` leaves out what a mute in force keeps from being news"
    )

    @property
    def wanted(self) -> Wanted:
        """The filter."""
        kinds = () if self.kind is None else (self.kind,)
        return Wanted(kinds, split_names(self.flagged_by), split_names(self.pattern), self.muted)


def add_stream_route(router: APIRouter, feed: FlagFeed, in_flight: RequestsInFlight) -> None:
    """Add the route."""

    @router.get(
        "/anomalies/stream",
        status_code=200,
        response_class=EventStream,
        responses=_ANSWER | error_responses(401, 403, 422, 500, 503),
        tags=["anomalies"],
    )
    async def stream(
        query: Annotated[StreamQuery, Query()],
        last_event_id: Annotated[
            str | None,
            Header(
                pattern=rf"^$|{EVENT_ID}",
                description="As `after`, which it overrides; browsers send it",
            ),
        ] = None,
    ) -> EventStream:
        """Send flagged and watched transactions as they are committed, until the client leaves."""
        after = last_event_id or query.after
        await feed.join()
        events = feed.events(
            read_id(after) if after else None, query.wanted, in_flight.begin_stream()
        )
        headers = {"X-Accel-Buffering": "no"}  # nginx: pass each event on at once
        return EventStream(events, feed.leave, headers, _MEDIA_TYPE)
