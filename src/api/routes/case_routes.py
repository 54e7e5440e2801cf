"""Cases: the queue, one case, and what people do with it; the API alone writes `case_events`."""

from collections.abc import Mapping
from datetime import UTC
from threading import Lock
from typing import Annotated, Any
from uuid import uuid4

import pyarrow as pa
from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import AwareDatetime, BeforeValidator
from starlette.requests import Request

from api.callers import Caller
from api.case_schemas import (
    Case,
    CaseDetails,
    CaseEvent,
    CaseEventGiven,
    CaseEventRequest,
    CaseMember,
    Cases,
)
from api.casework_access import Marker, WritingRoute, on_thread
from api.cursors import Cursor, InvalidCursorError, read_cursor, write_cursor
from api.errors import error_responses
from api.routes.anomalies import FIRST_TIME, LAST_TIME, refuse_bare_number
from core.case_index import CaseFilter, CaseSummary, Place
from core.case_rows import CASE_EVENTS, State, refusal
from core.cases import CaseBook
from core.casework import CaseworkStore, time_after
from core.detector.patterns import PATTERNS
from core.proxy_names import MAX_AUTHOR
from core.severity import SEVERITIES, Severity

MOST_CASES = 200
"""Cases of one page."""

_MOST_NUMBER = 2**53
_READ_ERRORS = error_responses(401, 403, 422, 500, 503)
_EARLIER_CURSOR = rf"({'|'.join(SEVERITIES)})-([0-9]{{1,15}})"

PatternName = Annotated[str, Query(pattern=f"^(?:{'|'.join(p.name for p in PATTERNS)})$")]
StateFilter = Annotated[State | None, Query(description="Only cases in this state")]
SeverityFilter = Annotated[Severity | None, Query(description="Only cases at least so severe")]
PatternFilter = Annotated[PatternName | None, Query(description="Only with such a member")]
Since = Annotated[
    Annotated[AwareDatetime, BeforeValidator(refuse_bare_number)] | None,
    Query(description="Only cases that something joined since, ISO 8601 with its offset"),
]
AssigneeFilter = Annotated[
    str | None,
    Query(min_length=1, max_length=MAX_AUTHOR, description="Only cases that this person works on"),
]
Limit = Annotated[int, Query(ge=1, le=MOST_CASES, description="Most cases to return")]
Number = Annotated[int, Path(ge=1, le=_MOST_NUMBER, description="The case's number")]


class CaseEvents:
    """Writes what people do with cases; each against the state that the case is in then."""

    def __init__(self, store: CaseworkStore, book: CaseBook) -> None:
        self._store, self._book, self._lock = store, book, Lock()

    def add(self, number: int, body: CaseEventRequest, caller: Caller) -> CaseEventGiven:
        """Add an event; raises `HTTPException` 404, 409 or 422 where it is not possible."""
        check_fields(body)
        author = caller.author(body.author)
        with self._lock:
            case = self._book.find(number)
            if case is None:
                raise unknown_case(number)
            if case.number != number:
                detail = f"Case {number} became part of case {case.number}: look at that one."
                raise HTTPException(409, detail)
            if refused := refusal(case.state, body.action):
                raise HTTPException(409, f"Case {number}: {refused}")
            row = {
                **{"id": uuid4().hex, "number": number, "at": time_after(case.handling.last_at)},
                **{"author": author, "action": body.action, "label": body.label},
                **{"note": body.note, "assignee": body.assignee, "through": case.sequence},
            }
            self._store.append("case_events", pa.Table.from_pylist([row], CASE_EVENTS))
        after = self._book.find(number)
        assert after is not None, "found before"
        return {"event": _event(row), "case": _case(after, _explanation(self._book, after))}


def check_fields(body: CaseEventRequest) -> None:
    """Raise `HTTPException` 422 where an action lacks what it needs, or has what is another's."""
    needs = {"closed": "label", "note": "note"}
    field = needs.get(body.action)
    if body.action == "assigned" and "assignee" not in body.model_fields_set:
        field = "assignee"  # null is one: the case is nobody's again
    if field is not None and getattr(body, field) is None:
        raise HTTPException(422, f"{field}: it is missing; `{body.action}` needs it.")
    for action, field in (("closed", "label"), ("assigned", "assignee")):
        if body.action != action and getattr(body, field) is not None:
            raise HTTPException(422, f"{field}: it is only for `{action}`.")


def unknown_case(number: int) -> HTTPException:
    """The answer to a number of no case."""
    return HTTPException(422 if number < 1 else 404, f"There is no case {number}.")


class _EventRoute(WritingRoute):
    """A route that writes, with the number of a case in its path."""

    def path_arguments(self, request: Request) -> tuple[int]:
        """The number; raises `HTTPException` 422 for what is none."""
        return (_number(request.path_params["number"]),)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MOST_NUMBER))):
        raise HTTPException(422, f"number: a whole number from 1 to {_MOST_NUMBER} is allowed.")
    if not 1 <= (number := int(text)) <= _MOST_NUMBER:
        raise HTTPException(422, f"number: a whole number from 1 to {_MOST_NUMBER} is allowed.")
    return number


def add_case_routes(router: APIRouter, casework: CaseworkStore) -> None:
    """Add the routes."""
    book = CaseBook(casework)
    events = CaseEvents(casework, book)

    def queue(wanted: CaseFilter, after: Place | None, limit: int) -> Cases:
        page = book.page(wanted, after, limit)
        counts = page.counts
        return {
            "cases": [_case(each, page.explanations[each.number]) for each in page.cases],
            "counts": {"new": counts["new"], "open": counts["open"], "closed": counts["closed"]},
            "next": None if page.next_place is None else _cursor(page.next_place),
        }

    @router.get("/cases", responses=_READ_ERRORS, tags=["cases"])
    async def cases(
        state: StateFilter = None,
        severity: SeverityFilter = None,
        pattern: PatternFilter = None,
        since: Since = None,
        assignee: AssigneeFilter = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Cases:
        """List cases by page: the most severe first, then the newest."""
        earliest = since and min(max(since, FIRST_TIME), LAST_TIME).astimezone(UTC)
        wanted = CaseFilter(state, severity, pattern, earliest, assignee)
        return await on_thread(queue, wanted, _place(cursor) if cursor else None, limit)

    @router.get("/cases/{number}", responses=_READ_ERRORS | error_responses(404), tags=["cases"])
    async def case(number: Number) -> CaseDetails:
        """Give a case with its members and history; of a merged one, that which it is part of."""
        return await on_thread(_details, book, number)

    def add_event(number: Number, body: CaseEventRequest, caller: Marker) -> CaseEventGiven:
        """Say what you do with a case: seen, assigned, note, closed or reopened."""
        return events.add(number, body, caller)

    route = _EventRoute("/cases/{number}/events", add_event, CaseEventRequest, "mark", "cases")
    route.responses = {**route.responses, **error_responses(404, 409)}
    router.routes.append(route)


def _details(book: CaseBook, number: int) -> CaseDetails:
    case = book.find(number)
    if case is None:
        raise unknown_case(number)
    return {
        "case": _case(case, _explanation(book, case)),
        "members": [_member(row) for row in book.members(case)],
        "events": [_event(row) for row in book.events(case)],
    }


def _cursor(place: Place) -> str:
    return write_cursor((SEVERITIES[place.rank], place.number), "cases")


def _place(cursor: str) -> Place:
    """The place of a cursor; raises `InvalidCursorError`."""
    severity, number = read_cursor(cursor, "cases", (str, int), _EARLIER_CURSOR)
    if severity not in SEVERITIES:
        raise InvalidCursorError
    return Place(SEVERITIES.index(severity), number)


def _explanation(book: CaseBook, case: CaseSummary) -> str:
    return book.explanations([case.head]).get(case.head, "")


def _case(case: CaseSummary, explanation: str) -> Case:
    return {
        "number": case.number,
        "state": case.state,
        "reopened": case.reopened,
        "severity": case.severity,
        "patterns": list(case.patterns),
        "explanation": explanation,
        "transactions": case.size,
        "value": case.value,
        "first_time": case.first_at,
        "last_time": case.last_at,
        "opened_at": case.opened_at,
        "joined_at": case.joined_at,
        "label": case.handling.label,
        "assignee": case.handling.owner,
        "last_action": case.handling.last_action,
        "last_author": case.handling.last_author,
        "merged": list(case.merged),
    }


def _member(row: Mapping[str, Any]) -> CaseMember:
    lists = {name: row[name] or [] for name in ("why", "patterns", "watched")}
    names = CaseMember.__annotations__.keys() & row.keys()
    member: Any = {"transaction_hash": row["hash"]} | {name: row[name] for name in names} | lists
    return member  # type: ignore[no-any-return]


def _event(row: Mapping[str, Any]) -> CaseEvent:
    event: Any = {name: row[name] for name in CaseEvent.__annotations__}
    return event  # type: ignore[no-any-return]
