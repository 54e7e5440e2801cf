"""How routes read and write the tables of people's work: off the event loop, with one body.

A route that writes takes a JSON object and the caller. Its body is bounded and read as those of
predictions are, so that whatever a stranger sends is answered with a problem detail.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import Body, HeldBytes, check_headers
from api.callers import Caller, Permission, may
from api.errors import error_responses
from api.lake_reads import LakeReads
from api.written_bodies import read_model

MAX_BODY_BYTES = 128 * 1024
"""Largest body: 1,000 hashes take half of it."""

_HELD_BYTES = 16 * 1024 * 1024

Marker = Annotated[Caller, Depends(may("mark"))]
"""A caller who may mark."""


on_thread = LakeReads("casework", "The tables are", "read or written", at_once=2).run
"""Awaits a call that reads or writes the tables; raises `HTTPException` 503 where it cannot."""


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
        self._body = body
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
            caller, given = self._caller(request), self.path_arguments(request)
            check_headers(request.scope["headers"], MAX_BODY_BYTES)
            body = Body(self._held, MAX_BODY_BYTES)
            try:
                content = read_model(self._body, await body.read(request.receive))
                answer = await on_thread(partial(self.endpoint, *given, content, caller))
            finally:
                body.release()
            return Response(msgspec.json.encode(answer), 201, media_type="application/json")

        return handle

    def path_arguments(self, _request: Request) -> tuple[Any, ...]:
        """What the endpoint takes from the path, before the body; nothing, by default.

        Raises `HTTPException` for what the path cannot have.
        """
        return ()
