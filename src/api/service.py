"""The application's own way in: our middleware outermost, and a short way to the busiest routes."""

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from api.direct import DirectRoute


class Shortcut:
    """Finds a direct route by its method and path in one look, past all that FastAPI does first.

    A direct route answers for its own errors; whatever is not found goes on to FastAPI.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[DirectRoute]) -> None:
        self.app = app
        self.routes = {route.path: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to its route, or to the application."""
        route = self.routes.get(scope["path"]) if scope["type"] == "http" else None
        if route is None or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        scope["route"] = route
        await route.serve(scope, receive, send)


class Service(FastAPI):
    """FastAPI with middleware around all of it, its own error handling included.

    `around` makes the outer application from the inner one.
    """

    def __init__(self, around: Callable[[ASGIApp], ASGIApp], **described: Any) -> None:
        super().__init__(**described)
        self._around = around

    def build_middleware_stack(self) -> ASGIApp:
        """FastAPI's stack with ours around it."""
        direct = [route for route in self.router.routes if isinstance(route, DirectRoute)]
        return self._around(Shortcut(super().build_middleware_stack(), direct))
