"""Every error in one shape: problem details, RFC 9457, as `application/problem+json`."""

import json
import logging
import re
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1

_SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SENTENCES = {
    404: "There is nothing at this path; /docs lists what there is.",
    405: "This path does not answer this method; the Allow header names those it does.",
}
log = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """One field that is not as it must be."""

    field: str = Field(description="Where it is: names and positions parted by dots")
    value: str | None = Field(description="What it was, as JSON, cut short; null when missing")
    allowed: str = Field(description="What is allowed there")
    message: str = Field(description="What is wrong, in words")


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = Field("about:blank", description="The status says all there is to say of the type")
    title: str = Field(description="The HTTP status in words")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What went wrong, in a sentence")
    request_id: str = Field(description="Names this request in the service's log")
    errors: list[FieldProblem] = Field(description="The fields at fault, if any; 20 at most")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its OpenAPI description."""
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {MEDIA_TYPE: {"schema": schema}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }


def request_id(scope: Scope) -> str:
    """The caller's X-Request-Id where it is harmless, else a new one."""
    sent = Headers(scope=scope).get("x-request-id", "")
    return sent if _SAFE_REQUEST_ID.fullmatch(sent) else uuid4().hex


def problem(
    scope: Scope,
    status: int,
    detail: str,
    errors: list[FieldProblem] | None = None,
    headers: dict[str, str] | None = None,
    level: int | None = None,
) -> Response:
    """Make the answer, and log it under its request id: what the caller sent is not logged.

    `level` is the log's, by default WARNING for a fault of the service and INFO for the caller's.
    """
    found = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        request_id=request_id(scope),
        errors=errors or [],
    )
    log.log(
        level or (logging.WARNING if status >= 500 else logging.INFO),
        "request refused method=%s path=%r status=%d request_id=%s detail=%r",
        scope["method"],
        scope["path"][:200],
        status,
        found.request_id,
        detail,
    )
    retry = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
    known = {"X-Request-Id": found.request_id}
    return Response(_plain(found), status, known | retry | (headers or {}), MEDIA_TYPE)


def _plain(found: Problem) -> bytes:
    """ASCII without any character that markup is made of."""
    text = json.dumps(found.model_dump())
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("ascii")


class InvalidBodyError(HTTPException):
    """A body that is not as it must be, with the fields at fault."""

    def __init__(self, status: int, sentence: str, errors: list[FieldProblem]) -> None:
        super().__init__(status, sentence)
        self.errors = errors


class LastingError(HTTPException):
    """A state that every request meets while it lasts: its begin and end are logged, not each."""


def refusal(scope: Scope, error: HTTPException) -> Response:
    """Answer what routing and routes raise."""
    detail = _SENTENCES.get(error.status_code, error.detail)
    errors = error.errors if isinstance(error, InvalidBodyError) else []
    level = logging.DEBUG if isinstance(error, LastingError) else None
    return problem(scope, error.status_code, detail, errors, _headers(error), level)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Handle an exception as `refusal` does."""
    assert isinstance(error, HTTPException)
    return refusal(request.scope, error)


def _headers(error: HTTPException) -> dict[str, str]:
    return dict(error.headers) if error.headers else {}


async def on_invalid_query(request: Request, error: Exception) -> Response:
    """Answer parameters in the URL that are not as they must be."""
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldProblem(
            field=".".join(str(part) for part in found["loc"][1:]),
            value=json.dumps(str(found["input"])[:100]),
            allowed=found["msg"],
            message=found["msg"],
        )
        for found in error.errors()[:20]
    ]
    detail = "; ".join(f"{found.field}: {found.message}" for found in errors)
    return problem(request.scope, 422, f"The address has a wrong parameter: {detail}.", errors)
