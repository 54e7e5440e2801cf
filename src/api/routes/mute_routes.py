"""Mutes: shapes that are not announced until a date, made, listed and ended."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, cast
from uuid import uuid4

import pyarrow as pa
from fastapi import APIRouter, HTTPException, Path, Query

from api.callers import Author
from api.casework_access import Marker, WritingRoute, on_thread
from api.casework_schemas import MuteGiven, MuteRequest, MutesGiven
from api.errors import error_responses
from core.casework import MUTES, CaseworkStore
from core.mutes import LONGEST_MUTE, MOST_MUTES, Mute, in_force, read_mutes

MOST_LISTED = 1_000

MuteId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The mute")]
InForce = Annotated[bool | None, Query(description="Only those that mute now, or only others")]


def add_mute_routes(router: APIRouter, casework: CaseworkStore) -> None:
    """Add the routes; the API is the only writer of the table `mutes`."""

    def mute_shape(body: MuteRequest, caller: Marker) -> MuteGiven:
        """Mute a shape until a date: it is flagged and stored, but not announced."""
        now = datetime.now(UTC)
        author = caller.author(body.author)
        if not timedelta(0) < body.until - now <= LONGEST_MUTE:
            raise HTTPException(422, f"until: a time in the next {LONGEST_MUTE.days} days.")
        if len(in_force(read_mutes(casework), now)) >= MOST_MUTES:
            raise HTTPException(422, f"There are {MOST_MUTES} mutes in force: end some first.")
        given = body.model_dump() | {"author": author, "until": body.until.astimezone(UTC)}
        mute = Mute(id=uuid4().hex, created_at=now, **given)
        _write(casework, mute, now)
        return _given(mute, now)

    router.routes.append(
        WritingRoute("/mutes", mute_shape, MuteRequest, permission="mark", tag="mutes")
    )

    @router.get("/mutes", responses=error_responses(401, 403, 422, 500, 503), tags=["mutes"])
    async def mutes(in_force: InForce = None) -> MutesGiven:
        """List mutes, the newest first, at most a thousand."""
        now = datetime.now(UTC)
        found = [_given(mute, now) for mute in await on_thread(read_mutes, casework)]
        wanted = [mute for mute in found if in_force in (None, mute["in_force"])]
        return {"mutes": wanted[:MOST_LISTED]}

    def end(id: str, author: str) -> MuteGiven:
        now = datetime.now(UTC)
        mute = next((each for each in read_mutes(casework) if each.id == id), None)
        if mute is None:
            raise HTTPException(404)
        if mute.in_force(now):
            mute = mute._replace(author=author, ended_at=now)
            _write(casework, mute, now)
        return _given(mute, now)

    @router.delete(
        "/mutes/{id}", responses=error_responses(401, 403, 404, 422, 500, 503), tags=["mutes"]
    )
    async def end_mute(
        id: MuteId,
        caller: Marker,
        author: Annotated[Author | None, Query()] = None,
    ) -> MuteGiven:
        """End a mute now; one that has ended stays as it is."""
        return await on_thread(end, id, caller.author(author))


def _write(casework: CaseworkStore, mute: Mute, now: datetime) -> None:
    row: dict[str, Any] = mute._asdict() | {"written_at": now}
    casework.append("mutes", pa.Table.from_pylist([row], schema=MUTES))


def _given(mute: Mute, now: datetime) -> MuteGiven:
    return cast(MuteGiven, mute._asdict() | {"in_force": mute.in_force(now)})
