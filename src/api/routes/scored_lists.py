"""The lists of flagged and of all scored transactions: by page, or as a file."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from api.cursors import InvalidCursorError, read_cursor, write_cursor
from api.downloads import Downloads
from api.errors import FieldProblem, InvalidFieldsError, error_responses
from api.lake_reads import LakeReads
from api.middleware import RequestsInFlight
from api.routes.anomalies import FIRST_TIME, LAST_TIME, ScoredTable
from api.row_formats import (
    CSV,
    JSON_COLUMNS,
    MEDIA_TYPES,
    PARQUET,
    ROWS_AT_ONCE,
    Format,
    asked_format,
    columns,
    csv_parts,
    parquet_parts,
    stored_transaction,
)
from api.row_query import DEFAULT_PAGE, MAX_DOWNLOAD, MAX_PAGE, RowQuery, TransactionQuery
from api.schemas import AnomaliesPage, StoredTransaction, TransactionsPage
from api.scored_pages import Listing, Page, Place, from_micros, to_micros
from core.row_filters import flagged_condition, passing_condition

_CURSOR = (int, int, int, str)
"""First and last event time of the list, event time and hash of the last row."""


def _described(what: str) -> dict[int | str, dict[str, Any]]:
    """What the document says of an answer: the forms beside JSON, and the next page's address."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    link = {
        "description": 'The next page, as `<address>; rel="next"`; missing after the last one',
        "schema": {"type": "string"},
    }
    content = {
        MEDIA_TYPES["csv"]: {"schema": {"type": "string"}},
        MEDIA_TYPES["parquet"]: binary,
    }
    answer = {"description": what, "content": content, "headers": {"Link": link}}
    return {200: answer} | error_responses(401, 403, 422, 500, 503)


def add_list_routes(
    router: APIRouter, scored: ScoredTable, reads: LakeReads, in_flight: RequestsInFlight
) -> None:
    """Add the routes."""
    lists = _Lists(scored, reads, in_flight)

    @router.get(
        "/anomalies", responses=_described("A page of flagged transactions"), tags=["anomalies"]
    )
    async def anomalies(
        request: Request, response: Response, query: Annotated[RowQuery, Query()]
    ) -> AnomaliesPage:
        """List flagged transactions, the newest first, by page or as a file."""
        answer = await lists.answer(request, response, query)
        if isinstance(answer, Response):
            return answer  # type: ignore[return-value]  # FastAPI sends it as it is
        return {"anomalies": answer[0], "next": answer[1]}

    @router.get(
        "/transactions", responses=_described("A page of transactions"), tags=["transactions"]
    )
    async def transactions(
        request: Request, response: Response, query: Annotated[TransactionQuery, Query()]
    ) -> TransactionsPage:
        """List scored transactions, flagged or not, the newest first, by page or as a file."""
        answer = await lists.answer(request, response, query)
        if isinstance(answer, Response):
            return answer  # type: ignore[return-value]  # FastAPI sends it as it is
        return {"transactions": answer[0], "next": answer[1]}


class _Lists:
    def __init__(self, scored: ScoredTable, reads: LakeReads, in_flight: RequestsInFlight) -> None:
        self._scored, self._reads = scored, reads
        self._downloads = Downloads(self._reads, in_flight)

    async def answer(
        self, request: Request, response: Response, query: RowQuery
    ) -> tuple[list[StoredTransaction], str | None] | Response:
        """The rows and the next page's cursor; or a file."""
        form = asked_format(query.format, request.headers.get("accept", ""))
        most = MAX_PAGE if form == "json" else MAX_DOWNLOAD
        if (query.limit or 0) > most:
            raise _too_many(query.limit or 0)
        listing = _listing(query, query.limit or (DEFAULT_PAGE if form == "json" else most))
        link = partial(_link, request)
        if form != "json":
            read = partial(self._file, listing, query, form, link)
            return await self._downloads.start(read, MEDIA_TYPES[form])
        rows, cursor = await self._reads.run(self._objects, listing, query)
        if cursor is not None:
            response.headers["Link"] = link(cursor)
        return rows, cursor

    def _page(self, listing: Listing) -> Page:
        return self._scored.read(partial(Page, listing=listing))

    def _objects(
        self, listing: Listing, query: RowQuery
    ) -> tuple[list[StoredTransaction], str | None]:
        page = self._page(listing)
        selected = columns(JSON_COLUMNS, query.filters)
        rows = [row for table in page.rows(selected, MAX_PAGE) for row in table.to_pylist()]
        return [stored_transaction(row) for row in rows], _next(page, listing, query)

    def _file(
        self, listing: Listing, query: RowQuery, form: Format, link: Any
    ) -> tuple[Iterator[bytes], dict[str, str]]:
        """The parts of a file, and its headers."""
        page = self._page(listing)
        cursor = _next(page, listing, query)
        headers = {"Content-Disposition": f'attachment; filename="transactions.{form}"'}
        if cursor is not None:
            headers["Link"] = link(cursor)
        names, parts = (CSV, csv_parts) if form == "csv" else (PARQUET.names, parquet_parts)
        return parts(page.rows(columns(names, query.filters), ROWS_AT_ONCE)), headers


def _too_many(limit: int) -> InvalidFieldsError:
    words = f"a page in JSON has at most {MAX_PAGE:,} rows"
    problem = FieldProblem(field="limit", value=str(limit), allowed=words, message=words)
    return InvalidFieldsError(422, f"limit: {words}.", [problem])


def _listing(query: RowQuery, limit: int) -> Listing:
    """What the query asks for; raises `InvalidCursorError`.

    A cursor has the range of the first page: one that ends now does not move between pages.
    """
    filters = query.filters
    flagged = [flagged_condition(filters)] if query.only_flagged else []
    condition = " AND ".join([passing_condition(filters), query.condition, *flagged])
    start, end = query.interval(datetime.now(UTC))
    if query.cursor is None:
        return Listing(condition, start, end, None, limit)
    *times, hash = read_cursor(query.cursor, query.question, _CURSOR)
    if not all(to_micros(FIRST_TIME) <= time <= to_micros(LAST_TIME) for time in times):
        raise InvalidCursorError
    start, end, last = map(from_micros, times)
    return Listing(condition, start, end, Place(last, hash), limit)


def _next(page: Page, listing: Listing, query: RowQuery) -> str | None:
    if not page.has_more:
        return None
    time, hash = page.last()
    times = [to_micros(each) for each in (listing.start, listing.end, time)]
    return write_cursor([*times, hash], query.question)


def _link(request: Request, cursor: str) -> str:
    """The header of the next page: the same request with another cursor."""
    query = [(k, v) for k, v in request.query_params.multi_items() if k != "cursor"]
    return f'<{request.scope["path"]}?{urlencode([*query, ("cursor", cursor)])}>; rel="next"'
