"""A body that is not as it must be: which field, what it was, what is allowed."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from api.problems import FieldProblem

MOST_TOLD = 20
_CUT = 100

Schema = Mapping[str, Any]


def told(error: ValidationError, schema: Schema) -> tuple[int, str, list[FieldProblem]]:
    """Status, sentence and fields for a body that failed against the model of a JSON schema.

    400 for what is not JSON, 422 for JSON that does not fit.
    """
    found = error.errors(include_url=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        return 400, f"The body is not JSON: {found[0]['msg'].removeprefix('Invalid JSON: ')}.", []
    fields = [_field(each, schema) for each in found[:MOST_TOLD]]
    return 422, _sentence(fields, len(found)), fields


def _sentence(fields: list[FieldProblem], count: int) -> str:
    first = fields[0]
    more = f" There are {count - 1} more." if count > 1 else ""
    where = first.field or "the body"
    return f"{where}: {first.message}; allowed is {first.allowed}.{more}"


def _field(error: ErrorDetails, schema: Schema) -> FieldProblem:
    missing = error["type"] == "missing"
    return FieldProblem(
        field=".".join(str(part) for part in error["loc"]),
        value=None if missing else shown(error["input"]),
        allowed=allowed(error["loc"], schema),
        message="it is missing" if missing else _lower(error["msg"]),
    )


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def shown(value: Any) -> str:
    """A value as JSON, 100 characters at most, whatever it holds."""
    try:
        text = json.dumps(value, default=lambda _: "…")
    except (ValueError, RecursionError):
        text = f"{type(value).__name__} that cannot be shown"
    return text if len(text) <= _CUT else f"{text[: _CUT - 1]}…"


def allowed(location: tuple[int | str, ...], schema: Schema) -> str:
    """What the schema allows at a place, in words: "an integer from 0 to 4,000,000"."""
    found = _resolved(schema, schema)
    for part in location:
        inner = (
            found.get("items") if isinstance(part, int) else found.get("properties", {}).get(part)
        )
        if inner is None:
            break
        found = _resolved(inner, schema)
    return _words(found)


def _resolved(found: Schema, schema: Schema) -> Schema:
    """Follow references, and take of alternatives the one that is not null."""
    if "anyOf" in found:
        found = next(each for each in found["anyOf"] if each.get("type") != "null")
    if "$ref" in found:
        return _resolved(schema["$defs"][found["$ref"].rsplit("/", 1)[1]], schema)
    return found


def _words(found: Schema) -> str:
    kind = found.get("type")
    if "enum" in found:
        return "one of " + ", ".join(json.dumps(value) for value in found["enum"])
    if kind == "integer":
        return "an integer" + _between(found.get("minimum"), found.get("maximum"))
    if kind == "string":
        return "text" + _between(found.get("minLength"), found.get("maxLength"), " characters")
    if kind == "array":
        return "a list" + _between(found.get("minItems"), found.get("maxItems"), " items")
    if kind == "boolean":
        return "true or false"
    required = ", ".join(found.get("required", ()))
    return f"an object with {required}" if required else "an object"


def _between(low: int | None, high: int | None, unit: str = "") -> str:
    if high is None:
        return "" if low is None else f" from {low:,}{unit}"
    return f" from {low or 0:,} to {high:,}{unit}"
