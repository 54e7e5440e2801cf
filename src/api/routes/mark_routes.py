"""Marks: what people think of transactions, written and read; and what it says of the flags."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, cast
from uuid import uuid4

import pyarrow as pa
from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BeforeValidator

from api.callers import Author
from api.casework_access import Marker, WritingRoute, on_thread
from api.casework_schemas import (
    GroupPrecision,
    MarkGiven,
    MarkOrWithdrawn,
    MarkRequest,
    MarksGiven,
    PrecisionOfFlags,
    TransactionHash,
)
from api.cursors import Cursor, InvalidCursorError, read_cursor, write_cursor
from api.errors import MAX_FIELD_PROBLEMS, FieldProblem, InvalidFieldsError, error_responses
from api.routes.anomalies import FIRST_TIME, LAST_TIME, ScoredTable, refuse_bare_number
from api.scored_pages import from_micros, to_micros
from core.casework import MARKS, CaseworkStore, time_after
from core.detector.verdict import row_patterns
from core.lake import sql_time
from core.marks import Precision, precisions, read_marks
from monitoring.api_metrics import ApiMetrics

MOST_LISTED = 1_000
_ANSWERED = tuple(MarkGiven.__annotations__)
_EARLIER_CURSOR = "([0-9]{1,17})-([0-9a-f]{32})"
_AFTER_MICROS = 10**17
_READ_ERRORS = error_responses(401, 403, 422, 500, 503)

MarkFilter = Annotated[MarkOrWithdrawn | None, Query(description="Only marks of this kind")]
AuthorFilter = Annotated[Author | None, Query(description="Only marks by this person")]
HashFilter = Annotated[TransactionHash | None, Query(description="Only those of one transaction")]
Since = Annotated[
    Annotated[AwareDatetime, BeforeValidator(refuse_bare_number)] | None,
    Query(description="Only marks of this time or later, ISO 8601 with its offset"),
]
Limit = Annotated[int, Query(ge=1, le=MOST_LISTED, description="Most marks to return")]


def unknown_hashes(unknown: list[tuple[int, str]], asked: int) -> InvalidFieldsError:
    """The answer to hashes of no scored transaction, by their positions: nothing was marked."""
    first = unknown[0][0]
    return InvalidFieldsError(
        422,
        f"{len(unknown)} of {asked} hashes are of no scored transaction, the first of them at"
        f" position {first}; nothing was marked.",
        [
            FieldProblem(
                field=f"hashes.{position}",
                value=f'"{hash}"',
                allowed="the hash of a scored transaction",
                message="no scored transaction has this hash",
            )
            for position, hash in unknown[:MAX_FIELD_PROBLEMS]
        ],
    )


def add_mark_routes(
    router: APIRouter, scored: ScoredTable, casework: CaseworkStore, metrics: ApiMetrics
) -> None:
    """Add the routes; the API is the only writer of the table `marks`."""

    def mark_transactions(body: MarkRequest, caller: Marker) -> MarksGiven:
        """Mark transactions as useful, not useful or known, or withdraw their marks."""
        author, hashes = caller.author(body.author), list(dict.fromkeys(body.hashes))
        found = scored.rows_of(hashes)
        if unknown := [(n, h) for n, h in enumerate(body.hashes) if h not in found]:
            raise unknown_hashes(unknown, len(body.hashes))
        now = _after_all_of(casework, hashes)
        rows = [_mark_row(found[hash], body, author, now) for hash in hashes]
        casework.append("marks", pa.Table.from_pylist(rows, schema=MARKS))
        metrics.marks.labels(body.mark).inc(len(rows))
        return {"marks": [_given(row | {"counts": True}) for row in rows], "next": None}

    router.routes.append(
        WritingRoute("/marks", mark_transactions, MarkRequest, permission="mark", tag="marks")
    )

    @router.get("/marks", responses=_READ_ERRORS, tags=["marks"])
    async def marks(
        mark: MarkFilter = None,
        author: AuthorFilter = None,
        transaction_hash: HashFilter = None,
        since: Since = None,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> MarksGiven:
        """List marks, the newest first, with those that later ones have replaced."""
        conditions = _conditions(mark, author, transaction_hash, since, cursor)
        return await on_thread(_page, casework, conditions, limit)

    @router.get("/marks/precision", responses=_READ_ERRORS, tags=["marks"])
    async def precision() -> PrecisionOfFlags:
        """Say how many of the marked flags were of use, by shape, version and week."""
        found = precisions(await on_thread(read_marks, casework))
        return {
            "all": _groups(found["all"]),
            "pattern": _groups(found["pattern"]),
            "version": _groups(found["version"]),
            "week": _groups(found["week"]),
        }


def _after_all_of(casework: CaseworkStore, hashes: list[str]) -> datetime:
    """The time of a mark that is made now: later than those before, whose clock was ahead."""
    named = ", ".join(f"'{hash}'" for hash in hashes)
    made = casework.query(
        f"SELECT max(marked_at) AS at FROM marks WHERE hash IN ({named})", "marks"
    )
    return time_after(None if made is None else made["at"][0].as_py())


def _mark_row(
    row: Mapping[str, Any], body: MarkRequest, author: str, now: datetime
) -> dict[str, Any]:
    """The row of a mark; flags of rows from before there were rules are the model's."""
    said = {"id": uuid4().hex, "mark": body.mark, "note": body.note, "author": author}
    flagged_by = row.get("flagged_by") or ("model" if row["is_anomaly"] else None)
    computed = {"marked_at": now, "patterns": list(row_patterns(row)), "flagged_by": flagged_by}
    return {name: row.get(name) for name in MARKS.names} | said | computed


def _conditions(
    mark: str | None,
    author: str | None,
    transaction_hash: str | None,
    since: datetime | None,
    cursor: str | None,
) -> str:
    """What is asked for in SQL; each text is validated, or has its quotes doubled."""
    found = ["TRUE"]
    if mark is not None:
        found.append(f"mark = '{mark}'")
    if author is not None:
        found.append("author = '" + author.replace("'", "''") + "'")
    if transaction_hash is not None:
        found.append(f"hash = '{transaction_hash}'")
    if since is not None:
        earliest = min(max(since, FIRST_TIME), LAST_TIME).astimezone(UTC)
        found.append(f"marked_at >= {sql_time(earliest)}")
    if cursor is not None:
        micros, last = _place(cursor)
        at = sql_time(from_micros(micros))
        found.append(f"(marked_at < {at} OR (marked_at = {at} AND id < '{last}'))")
    return " AND ".join(found)


def _page(casework: CaseworkStore, conditions: str, limit: int) -> MarksGiven:
    sql = (
        "SELECT * FROM (SELECT *, row_number() OVER"
        " (PARTITION BY hash ORDER BY marked_at DESC, id DESC) = 1 AS counts FROM marks)"
        f" WHERE {conditions} ORDER BY marked_at DESC, id DESC LIMIT {limit + 1}"
    )
    table = casework.query(sql, "marks")
    rows: list[dict[str, Any]] = [] if table is None else table.to_pylist()
    last = rows[limit - 1] if len(rows) > limit else None
    return {"marks": [_given(row) for row in rows[:limit]], "next": _cursor(last) if last else None}


def _cursor(row: Mapping[str, Any]) -> str:
    return write_cursor((to_micros(row["marked_at"]), row["id"]), "marks")


def _place(cursor: str) -> tuple[int, str]:
    """The time and the id of a cursor; raises `InvalidCursorError`."""
    micros, last = read_cursor(cursor, "marks", (int, str), _EARLIER_CURSOR)
    if not 0 <= micros < _AFTER_MICROS or not re.fullmatch("[0-9a-f]{32}", last):
        raise InvalidCursorError
    return micros, last


def _given(row: Mapping[str, Any]) -> MarkGiven:
    answer = {name: row["hash" if name == "transaction_hash" else name] for name in _ANSWERED}
    return cast(MarkGiven, answer)


def _groups(found: Iterable[Precision]) -> list[GroupPrecision]:
    return [cast(GroupPrecision, each._asdict()) for each in found]
