"""The daily report: a page for people, JSON for programs."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from pydantic import BeforeValidator
from starlette.responses import HTMLResponse, JSONResponse, Response

from api.errors import error_responses
from api.lake_reads import LakeReads
from api.scoring import Follower
from core.casework import CaseworkStore
from core.daily_drift import ModelInUse
from core.daily_report import FIRST_DAY, LAST_DAY, DailyReport, daily_report
from core.report_text import as_html

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report, as a page or as JSON",
        "model": DailyReport,
        "content": {"text/html": {"schema": {"type": "string"}}},
    }
}


def _whole_day(text: str) -> date:
    """A day as YYYY-MM-DD; pydantic alone would also read numbers as one."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("a day is written as YYYY-MM-DD")
    day = date.fromisoformat(text)
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"a day is from {FIRST_DAY} to {LAST_DAY}")
    return day


Day = Annotated[
    Annotated[date, BeforeValidator(_whole_day)] | None,
    Query(description="The day, in UTC, as YYYY-MM-DD; by default yesterday"),
]
Format = Annotated[
    Literal["html", "json"] | None,
    Query(description="A page or JSON; by default what the Accept header asks for, else a page"),
]


def add_report_routes(
    router: APIRouter, lake: str, casework: CaseworkStore, follower: Follower
) -> None:
    """Add the route; one report is computed at a time."""
    reads = LakeReads("report")

    @router.get(
        "/report",
        responses=_ANSWERS | error_responses(401, 422, 500, 503),
        response_class=JSONResponse,
        response_model=None,
        tags=["report"],
    )
    async def report_of_a_day(
        day: Day = None,
        format: Format = None,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:
        """Report what a day brought: counts, the most severe flags and why, drift, data quality."""
        wanted = day or datetime.now(UTC).date() - timedelta(days=1)
        report = await reads.run(daily_report, lake, casework, wanted, _in_use(follower))
        if format == "json" or format is None and _prefers_json(accept):
            return JSONResponse(report.as_json())
        return HTMLResponse(as_html(report))


def _in_use(follower: Follower) -> ModelInUse | str:
    """The champion that drift is measured from, or why there is none."""
    champion = follower.current
    if champion is None:
        return follower.problem or "no model is in use"
    return ModelInUse(champion.version, champion.calibration)


def _prefers_json(accept: str) -> bool:
    """Whether an Accept header names JSON, and no page before it."""
    kinds = [part.split(";")[0].strip().lower() for part in accept.split(",")]
    return next((kind for kind in kinds if kind.startswith(("text/", "application/"))), "") == (
        "application/json"
    )
