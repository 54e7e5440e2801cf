"""Every error answer of the API: a problem detail (RFC 9457), as `application/problem+json`.

Routes and middleware raise an `HTTPException` or call `problem_response`. The answer to an invalid
body names each field at fault, the value that was sent and the values that are allowed.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from pydantic_core import ErrorDetails
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1
MAX_FIELD_PROBLEMS = 20
MAX_LINE_PROBLEMS = 1_000
_MAX_VALUE_LENGTH = 100

UNSHOWN: Any = object()
"""The `input` of a fault whose value was not read."""

_SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ADDRESS_IN_PATH = re.compile(r"/addresses/.*", re.DOTALL)
"""Whom somebody asks about is in no log."""

_DETAILS = {
    404: "There is nothing at this path; /docs lists what there is.",
    405: "This path does not answer this method; the Allow header names those it does.",
}

Schema = Mapping[str, Any]

log = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """One field with an invalid value."""

    field: str = Field(description="Path of the field: names and positions, separated by dots")
    value: str | None = Field(
        description="The value that was sent, as JSON, cut to 100 characters; null when it is"
        " missing or was not read"
    )
    allowed: str = Field(description="The values that are allowed")
    message: str = Field(description="What is wrong, in words")


class Problem(BaseModel):
    """An error, as RFC 9457 defines it."""

    type: str = Field("about:blank", description="Always about:blank: the status is the type")
    title: str = Field(description="The HTTP status in words")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What went wrong, in a sentence")
    request_id: str = Field(description="Names this request in the service's log")
    errors: list[FieldProblem] = Field(
        description="The invalid fields, if any, 20 at most; of a file the bad lines, 1,000 at most"
    )


class InvalidFieldsError(HTTPException):
    """What a caller sent is not valid; `errors` are the fields at fault."""

    def __init__(self, status: int, detail: str, errors: Sequence[FieldProblem] = ()) -> None:
        super().__init__(status, detail)
        self.errors = list(errors)


class InvalidBodyError(InvalidFieldsError):
    """A body that failed validation: status 400 when it is not JSON, 422 when it does not fit.

    `details` are its faults in pydantic's form, at least one. `schema` is the JSON schema of the
    model that refused it.
    """

    def __init__(self, details: list[ErrorDetails], schema: Schema) -> None:
        if details[0]["type"] == "json_invalid":
            reason = details[0]["msg"].removeprefix("Invalid JSON: ")
            super().__init__(400, f"The body is not JSON: {reason}.")
            return
        errors = [_field_problem(each, schema) for each in details[:MAX_FIELD_PROBLEMS]]
        first, others = errors[0], len(details) - 1
        least = "at least " if len(details) >= MAX_FIELD_PROBLEMS else ""
        super().__init__(
            422,
            f"{first.field or 'the body'}: {first.message}; allowed is {first.allowed}."
            + (f" There are {least}{others} more." if others else ""),
            errors,
        )


class InvalidFileError(InvalidFieldsError):
    """A file of which lines cannot be read: `errors` names them, 1,000 at most."""

    def __init__(self, lines: Sequence[tuple[int, str, str]], allowed: str) -> None:
        errors = [
            FieldProblem(field=f"line {n}", value=_shown(value), allowed=allowed, message=reason)
            for n, value, reason in lines[:MAX_LINE_PROBLEMS]
        ]
        number, _, reason = lines[0]
        least = "at least " if len(lines) >= MAX_LINE_PROBLEMS else ""
        others = f" There are {least}{len(lines) - 1:,} more bad lines." if len(lines) > 1 else ""
        super().__init__(422, f"Nothing is changed. Line {number}: {reason}.{others}", errors)


class NoModelError(HTTPException):
    """No model is loaded, so that there is none to be ready with or to describe.

    Every probe meets it while it lasts: the heartbeat logs its start and its end, and each refused
    request is logged at level DEBUG only.
    """

    def __init__(self, reason: str | None) -> None:
        super().__init__(503, f"There is no model to score with: {reason}.")


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe a route's error answers for the OpenAPI document."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }


def problem_response(
    scope: Scope,
    status: int,
    detail: str,
    errors: list[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
    level: int | None = None,
) -> Response:
    """Make the answer, and log it with its request id; the log never shows what was sent.

    `level` is the level of the log line. By default it is WARNING for an error of the service and
    INFO for an error of the caller.
    """
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        request_id=_request_id(scope),
        errors=errors or [],
    )
    log.log(
        level or (logging.WARNING if status >= 500 else logging.INFO),
        "event=request_refused method=%s path=%r status=%d request_id=%s reason=%r",
        scope["method"],
        _ADDRESS_IN_PATH.sub("/addresses/…", scope["path"])[:200],
        status,
        problem.request_id,
        detail,
    )
    retry = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
    sent_headers = {"X-Request-Id": problem.request_id} | retry | dict(headers or {})
    return Response(_markup_free(problem), status, sent_headers, MEDIA_TYPE)


def _request_id(scope: Scope) -> str:
    """Take the caller's X-Request-Id where it is safe to log, else a new one."""
    sent = Headers(scope=scope).get("x-request-id", "")
    return sent if _SAFE_REQUEST_ID.fullmatch(sent) else uuid4().hex


def _markup_free(problem: Problem) -> bytes:
    """Write JSON in ASCII, with the characters of HTML markup escaped."""
    text = json.dumps(problem.model_dump())
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("ascii")


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer an `HTTPException` that routing or a route raised."""
    assert isinstance(error, HTTPException)
    detail, headers = error.detail, error.headers
    if error.status_code == 405:
        headers = {"Allow": ", ".join(_methods_of_path(request))}
    if detail == HTTPStatus(error.status_code).phrase:  # of routing, not of a route
        detail = _DETAILS.get(error.status_code, detail)
    return problem_response(
        request.scope,
        error.status_code,
        detail,
        error.errors if isinstance(error, InvalidFieldsError) else None,
        headers,
        logging.DEBUG if isinstance(error, NoModelError) else None,
    )


def _methods_of_path(request: Request) -> list[str]:
    """The methods of all routes of a path: routing names those of the first one alone.

    Where a route has just this path, one with a parameter in its place is not meant. HEAD is
    answered wherever GET is.
    """
    routes = [
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    ]
    exact = [route for route in routes if not route.param_convertors]
    methods = {method for route in exact or routes for method in route.methods or ()}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


async def on_invalid_query(request: Request, error: Exception) -> Response:
    """Answer a request with invalid parameters in its URL."""
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldProblem(
            field=".".join(str(part) for part in details["loc"][1:]),
            value=json.dumps(str(details["input"])[:_MAX_VALUE_LENGTH]),
            allowed=details["msg"],
            message=details["msg"],
        )
        for details in error.errors()[:MAX_FIELD_PROBLEMS]
    ]
    faults = [f"{each.field}: {each.message}" if each.field else each.message for each in errors]
    detail = "; ".join(faults)
    detail = f"The address has a wrong parameter: {detail}."
    return problem_response(request.scope, 422, detail, errors)


def _field_problem(error: ErrorDetails, schema: Schema) -> FieldProblem:
    missing = error["type"] == "missing"
    message = error["msg"]
    return FieldProblem(
        field=".".join(str(part) for part in error["loc"]),
        value=None if missing or error["input"] is UNSHOWN else _shown(error["input"]),
        allowed=_allowed(error["loc"], schema),
        message="it is missing" if missing else message[:1].lower() + message[1:],
    )


def _shown(value: Any) -> str:
    """Write any value as JSON, cut to 100 characters."""
    try:
        text = json.dumps(value, default=lambda _: "…")
    except (ValueError, RecursionError):
        text = f"{type(value).__name__} that cannot be shown"
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[: _MAX_VALUE_LENGTH - 1]}…"


def _allowed(location: tuple[int | str, ...], schema: Schema) -> str:
    """Say what the schema allows at a location: "an integer from 0 to 4,000,000"."""
    part = _resolved(schema, schema)
    for step in location:
        inner = part.get("items") if isinstance(step, int) else part.get("properties", {}).get(step)
        if inner is None:
            break
        part = _resolved(inner, schema)
    return _in_words(part)


def _resolved(part: Schema, schema: Schema) -> Schema:
    """Follow references; of alternatives take the one that is not null."""
    if "anyOf" in part:
        part = next(each for each in part["anyOf"] if each.get("type") != "null")
    if "$ref" in part:
        return _resolved(schema["$defs"][part["$ref"].rsplit("/", 1)[1]], schema)
    return part


def _in_words(part: Schema) -> str:
    kind = part.get("type")
    if "enum" in part:
        return "one of " + ", ".join(json.dumps(value) for value in part["enum"])
    if kind == "integer":
        return "an integer" + _between(part.get("minimum"), part.get("maximum"))
    if kind == "string":
        return "text" + _between(part.get("minLength"), part.get("maxLength"), " characters")
    if kind == "array":
        return "a list" + _between(part.get("minItems"), part.get("maxItems"), " items")
    if kind == "boolean":
        return "true or false"
    required = ", ".join(part.get("required", ()))
    return f"an object with {required}" if required else "an object"


def _between(low: int | None, high: int | None, unit: str = "") -> str:
    if high is None:
        return "" if low is None else f" from {low:,}{unit}"
    return f" from {low or 0:,} to {high:,}{unit}"
