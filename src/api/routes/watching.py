"""The routes of the watch list: read, change, import, export, and what was seen of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import HeldBytes
from api.callers import Author, Caller, may
from api.errors import InvalidFileError, error_responses
from api.lake_reads import LakeReads
from api.watch_schemas import (
    EntryHistory,
    EntryRemoved,
    WatchListChange,
    WatchListChanged,
    WatchListPage,
    WatchListSeen,
)
from api.watch_tables import WatchedInLake, WatchListTable
from api.written_bodies import bounded_body, json_body, read_model, text_body
from core.casework import CaseworkStore
from core.settings import ApiSettings
from core.severity import Severity
from core.transaction import MAX_ADDRESS
from core.watch_list import MAX_ENTRIES, MAX_NAME, MAX_REASON, normalized
from core.watch_list_files import read_file

MOST_ROWS, MOST_DAYS = 1_000, 30
_FILE_TYPES = (b"text/csv",)
"""Not text/plain, which any page that a browser shows may send here without asking."""

_MAX_CHANGE_BYTES = 2 * 1024 * 1024
_ALLOWED_LINE = "an entry, or the cells that the first line names: entry, name, reason, severity"
_TEXT = r"^[^\x00-\x1f\x7f]*$"

Watcher = Annotated[Caller, Depends(may("watch"))]
EntryText = Annotated[str, Path(pattern=rf"^[0-9A-Za-z]{{1,{MAX_ADDRESS}}}$")]
Entry = Annotated[
    str,
    Query(
        pattern=rf"^[0-9A-Za-z]{{1,{MAX_ADDRESS}}}$",
        description="An address, a script in hex, or the hash of a transaction",
    ),
]
AuthorGiven = Annotated[Author | None, Query()]
Search = Annotated[
    str, Query(max_length=MAX_ADDRESS, description="Text in entry, name or reason, in any case")
]
Offset = Annotated[int, Query(ge=0, le=MAX_ENTRIES, description="Entries to leave out first")]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="Most rows to return")]
Days = Annotated[int, Query(ge=1, le=MOST_DAYS, description="How many days to look back")]
DefaultName = Annotated[
    str,
    Query(max_length=MAX_NAME, min_length=1, pattern=_TEXT, description="Where a line has no name"),
]
DefaultReason = Annotated[
    str,
    Query(max_length=MAX_REASON, min_length=1, pattern=_TEXT, description="Likewise, the reason"),
]
DefaultSeverity = Annotated[Severity, Query(description="Likewise, the severity")]


def add_watch_list_routes(
    router: APIRouter, lake: str, store: CaseworkStore, settings: ApiSettings
) -> None:
    """Add the routes; reading needs the permission `read`, changing `watch`."""
    worker = LakeReads("watch-list", "The watch list is", "read or written")
    table = WatchListTable(store)
    _add_reading(router, table, worker)
    _add_seen(router, WatchedInLake(lake, store))
    _add_changing(router, table, worker, settings)
    _add_import(router, table, worker, settings)


def _add_reading(router: APIRouter, table: WatchListTable, worker: LakeReads) -> None:
    errors = error_responses(401, 422, 500, 503)

    @router.get("/watch-list", responses=errors, tags=["watch list"])
    async def watch_list(
        search: Search = "", offset: Offset = 0, limit: Limit = 100
    ) -> WatchListPage:
        """List the entries in force, by entry."""
        return await worker.run(table.page, search, offset, limit)

    @router.get("/watch-list/history", responses=errors, tags=["watch list"])
    async def watch_list_history(entry: Entry) -> EntryHistory:
        """Say who changed an entry, and when."""
        return await worker.run(table.history, _normal(entry))

    file: dict[str, Any] = {
        "content": {"text/csv": {"schema": {"type": "string"}}},
        "description": "The list",
    }

    @router.get(
        "/watch-list.csv",
        response_class=Response,
        responses={200: file, **error_responses(401, 500, 503)},
        tags=["watch list"],
    )
    async def watch_list_file() -> Response:
        """Export the entries in force, as `POST /watch-list/import` takes them."""
        headers = {"Content-Disposition": "attachment; filename=watch-list.csv"}
        return Response(await worker.run(table.csv), 200, headers, "text/csv")


def _add_seen(router: APIRouter, in_lake: WatchedInLake) -> None:
    worker = LakeReads("watched", deed="read or written")

    @router.get(
        "/watch-list/seen", responses=error_responses(401, 422, 500, 503), tags=["watch list"]
    )
    async def watch_list_seen(
        days: Days = 7, entry: Entry | None = None, limit: Limit = 100
    ) -> WatchListSeen:
        """Say what the lake has seen of the list, or of one entry, in the last days.

        Also what came before an entry was on the list.
        """
        chosen = None if entry is None else _normal(entry)
        return await worker.run(in_lake.seen, days, chosen, limit)


def _add_changing(
    router: APIRouter, table: WatchListTable, worker: LakeReads, settings: ApiSettings
) -> None:
    held = HeldBytes(settings.api_max_held_bytes)
    max_bytes = min(_MAX_CHANGE_BYTES, settings.api_max_body_bytes)
    errors = error_responses(400, 401, 413, 415, 422, 500, 503)

    @router.post(
        "/watch-list",
        responses=errors,
        tags=["watch list"],
        openapi_extra=json_body(WatchListChange),
    )
    async def watch(request: Request, caller: Watcher) -> WatchListChanged:
        """Put entries on the list, or change those that are on it, in one commit."""
        content = await bounded_body(request, held, max_bytes)

        def work() -> WatchListChanged:
            change = read_model(WatchListChange, content)
            return table.put(change.entries, caller.author(change.author))

        return await worker.run(work)

    @router.delete(
        "/watch-list/{entry}",
        responses=error_responses(401, 404, 422, 500, 503),
        tags=["watch list"],
    )
    async def unwatch(
        entry: EntryText, caller: Watcher, author: AuthorGiven = None
    ) -> EntryRemoved:
        """Take an entry off the list; its history stays."""
        who = caller.author(author)
        return await worker.run(table.remove, _normal(entry), who)


def _add_import(
    router: APIRouter, table: WatchListTable, worker: LakeReads, settings: ApiSettings
) -> None:
    held = HeldBytes(settings.api_max_held_bytes)

    @router.post(
        "/watch-list/import",
        responses=error_responses(400, 401, 413, 415, 422, 500, 503),
        tags=["watch list"],
        openapi_extra=text_body(*_FILE_TYPES),
    )
    async def import_watch_list(
        request: Request,
        caller: Watcher,
        name: DefaultName = "imported",
        reason: DefaultReason = "imported from a file",
        severity: DefaultSeverity = "medium",
        author: AuthorGiven = None,
    ) -> WatchListChanged:
        """Put the entries of a file on the list, all in one commit, or none if a line is bad.

        The file is CSV with the columns entry, name, reason, severity and kind in the order of its
        first line, or has one entry a line. At most 100,000 entries.
        """
        content = await bounded_body(request, held, settings.api_max_body_bytes, _FILE_TYPES)
        who = caller.author(author)
        defaults = {"name": name, "reason": reason, "severity": severity}

        def work() -> WatchListChanged:
            entries, bad = read_file(_decoded(content), defaults)
            if bad:
                raise InvalidFileError(bad, _ALLOWED_LINE)
            if not entries:
                raise HTTPException(422, "The file has no entry.")
            return table.put(entries, who)

        return await worker.run(work)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HTTPException(400, f"The file is not UTF-8: {error}.") from error


def _normal(entry: str) -> str:
    """An entry as the list has it; what can be none stays as it is, and is found nowhere."""
    try:
        return normalized(entry)[0]
    except ValueError:
        return entry
