"""The route that reads the lake."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from deltalake.exceptions import DeltaError
from fastapi import APIRouter, HTTPException, Query
from pydantic import AwareDatetime, BeforeValidator

from api.anomalies import Scored
from api.problems import responses
from api.schemas import Anomalies
from core.lake import OriginMismatchError

MOST = 1_000
_READS_AT_ONCE = 2
_DEFAULT_REACH = timedelta(days=1)

Limit = Annotated[int, Query(ge=1, le=MOST, description="Most transactions to return")]


def _text_of_a_time(sent: str) -> str:
    """Let no bare number pass, which pydantic would take for Unix seconds or milliseconds."""
    if "T" not in sent.upper() and " " not in sent:
        raise ValueError("a date and a time are needed")
    return sent


Since = Annotated[
    Annotated[AwareDatetime, BeforeValidator(_text_of_a_time)] | None,
    Query(description="Earliest event time, ISO 8601 with its offset; by default a day ago"),
]
MinimumScore = Annotated[
    float | None,
    Query(ge=0, le=1, description="Least score, from 0 to 1; by default those that were flagged"),
]


def add_lake_routes(router: APIRouter, scored: Scored, now: Callable[[], float]) -> None:
    """Add the route; `now` is the time in Unix seconds."""
    limiter = CapacityLimiter(_READS_AT_ONCE)

    @router.get("/anomalies/recent", responses=responses(401, 422, 500, 503), tags=["anomalies"])
    async def recent_anomalies(
        limit: Limit = 50, since: Since = None, minimum_score: MinimumScore = None
    ) -> Anomalies:
        """List the newest unusual transactions of the stream, from the lake."""
        earliest = since or datetime.fromtimestamp(now(), UTC) - _DEFAULT_REACH
        try:
            found = await to_thread.run_sync(
                scored.recent,
                earliest,
                minimum_score,
                limit,
                limiter=limiter,
                abandon_on_cancel=True,
            )
        except OriginMismatchError as error:
            raise HTTPException(503, f"The lake is not this service's: {error}.") from error
        except (DeltaError, OSError) as error:
            raise HTTPException(503, "The lake cannot be read just now.") from error
        return {"anomalies": found}
