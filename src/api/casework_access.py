"""How routes read and write the tables of people's work: off the event loop, with one body.

A route that writes takes a JSON object and the caller. Its body is bounded and read as those of
predictions are, so that whatever a stranger sends is answered with a problem detail.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, TypeVar

import msgspec
from deltalake.exceptions import DeltaError
from fastapi import Depends, HTTPException
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import Body, HeldBytes, check_headers
from api.callers import Caller, Permission, may
from api.errors import InvalidBodyError, error_responses
from core.delta_log import LogDamagedError
from core.lake import OriginMismatchError

MAX_BODY_BYTES = 128 * 1024
"""Largest body: 1,000 hashes take half of it."""

_HELD_BYTES = 16 * 1024 * 1024
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="casework")
"""A call whose request was cancelled occupies its thread until it ends: slow ones never add up."""

Marker = Annotated[Caller, Depends(may("mark"))]
"""A caller who may mark."""

T = TypeVar("T")


@contextmanager
def readable() -> Iterator[None]:
    """Answer 503 where tables cannot be read or written just now, or are of the other origin."""
    try:
        yield
    except OriginMismatchError as error:
        raise HTTPException(503, f"The tables are not this service's: {error}.") from error
    except LogDamagedError as error:
        raise HTTPException(503, f"The tables cannot be read just now: {error}.") from error
    except (DeltaError, OSError) as error:
        raise HTTPException(503, "The tables cannot be read or written just now.") from error


async def on_thread(call: Callable[..., T], *arguments: Any) -> T:
    """The result of a call that reads or writes tables; answers 503 where they are unreadable."""
    loop = asyncio.get_running_loop()
    with readable():
        return await loop.run_in_executor(_THREADS, partial(call, *arguments))


class WritingRoute(APIRoute):
    """A POST route that needs a permission; its endpoint takes the body and the caller.

    `body` is the model that the endpoint annotates. What the endpoint returns is the answer, 201.
    """

    _held = HeldBytes(_HELD_BYTES)

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        body: type[BaseModel],
        permission: Permission,
        tag: str,
    ) -> None:
        self._adapter: TypeAdapter[BaseModel] = TypeAdapter(body)
        self._caller = may(permission)
        super().__init__(
            path,
            endpoint,
            methods=["POST"],
            status_code=201,
            responses=error_responses(400, 401, 403, 413, 415, 422, 500, 503),
            tags=[tag],
        )

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Make the handler that FastAPI calls for each request, in place of its own."""

        async def handle(request: Request) -> Response:
            caller = self._caller(request)
            check_headers(request.scope["headers"], MAX_BODY_BYTES)
            body = Body(self._held, MAX_BODY_BYTES)
            try:
                content = self._read(await body.read(request.receive))
                answer = await on_thread(self.endpoint, content, caller)
            finally:
                body.release()
            return Response(msgspec.json.encode(answer), 201, media_type="application/json")

        return handle

    def _read(self, content: bytes) -> BaseModel:
        try:
            return self._adapter.validate_json(content)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False)
            raise InvalidBodyError(details, self._adapter.json_schema()) from error
