"""Routes that take the body's bytes straight to its model and the answer straight to bytes.

FastAPI describes such a route in its OpenAPI document like any other. But: no dependencies, no
parameters beside the one body, no response headers of its own. In return pydantic reads the JSON
itself, without Python objects in between, and a request costs about half of what it does otherwise.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, get_type_hints

from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from api.invalid import told
from api.problems import InvalidBodyError, refusal

Headers = list[tuple[bytes, bytes]]

_JSON = (b"content-type", b"application/json")
_NOT_JSON = "Send the body as Content-Type: application/json."


def check_headers(headers: Headers, most_bytes: int) -> None:
    """Refuse another content type than JSON, and a body that announces that it is too large."""
    content_type = b""
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length" and value.isdigit() and int(value) > most_bytes:
            raise too_large(most_bytes)
    if content_type != b"application/json" and not _is_json(content_type):
        raise HTTPException(415, _NOT_JSON)


def _is_json(content_type: bytes) -> bool:
    kind = content_type.partition(b";")[0].strip().lower()
    return kind == b"application/json" or (
        kind.startswith(b"application/") and kind.endswith(b"+json")
    )


def too_large(most_bytes: int) -> HTTPException:
    """The refusal of a body over the limit."""
    return HTTPException(413, f"The body is larger than the limit of {most_bytes:,} bytes.")


async def read_body(receive: Receive, most_bytes: int) -> bytes:
    """Read the whole body, no further than the limit; raises `ClientDisconnect`."""
    parts: list[bytes] = []
    left = most_bytes
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        left -= len(part)
        if left < 0:
            raise too_large(most_bytes)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def check_numbers(content: bytes) -> None:
    """Refuse NaN and Infinity in fields that the model ignores: they are not JSON (RFC 8259)."""

    def refuse(name: str) -> None:
        raise HTTPException(400, f"The body is not JSON: {name} is no number there.")

    try:
        json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError):
        return  # Python's own limits, where the model has none: long integers, deep nesting


class DirectRoute(APIRoute):
    """A route whose endpoint takes one body and returns what is written as the answer.

    The endpoint is `async`, with annotations for both; `most_bytes` limits the body. `read` makes
    the body of its bytes where the annotated model is not to do it.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Any], Awaitable[Any]],
        most_bytes: int,
        read: Callable[[bytes], Any] | None = None,
        **described: Any,
    ) -> None:
        super().__init__(path, endpoint, methods=["POST"], **described)
        hints = get_type_hints(endpoint, include_extras=True)
        self._write = TypeAdapter(hints.pop("return")).serializer.to_json
        (body,) = hints.values()
        adapter = TypeAdapter(body)
        self._read, self._schema = read or adapter.validator.validate_json, adapter.json_schema()
        self._answer, self._most_bytes = endpoint, most_bytes
        self.app = self.serve

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, errors that are foreseen included."""
        try:
            body = await self._body(scope, receive)
            content = self._write(await self._answer(body))
        except HTTPException as error:
            await refusal(scope, error)(scope, receive, send)
            return
        length = (b"content-length", b"%d" % len(content))
        await send({"type": "http.response.start", "status": 200, "headers": [_JSON, length]})
        await send({"type": "http.response.body", "body": content})

    async def _body(self, scope: Scope, receive: Receive) -> Any:
        check_headers(scope["headers"], self._most_bytes)
        content = await read_body(receive, self._most_bytes)
        try:
            body = self._read(content)
        except ValidationError as error:
            raise InvalidBodyError(*told(error, self._schema)) from error
        if b"NaN" in content or b"Infinity" in content:
            check_numbers(content)
        return body
