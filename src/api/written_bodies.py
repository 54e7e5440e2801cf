"""The bodies of routes that write what people do: read within bounds, validated, documented."""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from api.bodies import Body, HeldBytes, check_headers
from api.errors import InvalidBodyError

Model = TypeVar("Model", bound=BaseModel)


async def bounded_body(
    request: Request, held: HeldBytes, max_bytes: int, other_types: Collection[bytes] = ()
) -> bytes:
    """The body of a request, of JSON or else of one of the other media types.

    Raises `HTTPException` for one that is too large or of another type.
    """
    check_headers(request.scope["headers"], max_bytes, other_types)
    body = Body(held, max_bytes)
    try:
        return await body.read(request.receive)
    finally:
        body.release()


def read_model(model: type[Model], content: bytes) -> Model:
    """A body of JSON as its model; raises `InvalidBodyError`."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise InvalidBodyError(details, model.model_json_schema()) from error


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of a route that reads such a body."""
    schema = model.model_json_schema()
    return _required_body({"application/json": _inlined(schema, schema.get("$defs", {}))})


def text_body(*media_types: bytes) -> dict[str, Any]:
    """The same for a route that reads a text of one of these media types."""
    return _required_body({each.decode(): {"type": "string"} for each in media_types})


def _required_body(schemas: Mapping[str, Any]) -> dict[str, Any]:
    content = {media_type: {"schema": schema} for media_type, schema in schemas.items()}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema with every reference to one of its own definitions replaced by that."""
    if isinstance(part, list):
        return [_inlined(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _inlined(definitions[part["$ref"].rsplit("/", 1)[1]], definitions)
    return {name: _inlined(each, definitions) for name, each in part.items() if name != "$defs"}
