"""The page /docs with all files that it needs, and the OpenAPI document that it shows."""

import base64
import hashlib
import re
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from api.callers import API_KEY_HEADER, Callers
from api.errors import Problem, error_responses
from api.middleware import OPEN_PATHS
from core.settings import ApiSettings

ASSETS = "docs/assets"
"""Relative to the page, as all its addresses: a proxy may publish the service below any path."""

DESCRIPTION = """
Scores Bitcoin transactions with an Isolation Forest and explains each score. Amounts are integer
satoshi, sizes are bytes, weights are weight units. **Unusual is not illicit**: a high score means
that a transaction is rare among recent ones, no more. A fee is judged beside the going fee rate:
the stream's newest one, or `market_fee_rate` of the caller. Rules flag beside the model, and alone
while there is none; `flagged_by` says which. Every error is a problem detail (RFC 9457).
"""


def add_documentation(app: FastAPI, settings: ApiSettings) -> None:
    """Serve /docs without files from other hosts, and complete the OpenAPI document."""
    page = HTMLResponse(
        bytes(
            get_swagger_ui_html(
                openapi_url="openapi.json",
                title=app.title,
                swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
                swagger_css_url=f"{ASSETS}/swagger-ui.css",
                swagger_favicon_url=f"{ASSETS}/favicon.png",
            ).body
        )
    )
    page.headers["Content-Security-Policy"] = _content_security_policy(bytes(page.body).decode())

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return page

    app.mount(f"/{ASSETS}", StaticFiles(directory=str(files("fastapi_offline") / "static")))

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _openapi_document(app, settings)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI documents this way


def _content_security_policy(page: str) -> str:
    """Allow only files of this service, and the page's one inline script by its hash."""
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
        "frame-ancestors 'none'"
    )


def _openapi_document(app: FastAPI, settings: ApiSettings) -> dict[str, Any]:
    """Add to FastAPI's document the shape of errors, permissions, and the key where one is set."""
    document = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes
    )
    components = document["components"]
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components["schemas"].update(problem.pop("$defs"))
    components["schemas"]["Problem"] = problem
    permissions = _permissions(app)
    key_needed = Callers(settings).key_needed
    if key_needed:
        scheme = {"type": "apiKey", "in": "header", "name": API_KEY_HEADER}
        components["securitySchemes"] = {"key": scheme}
    for path, operations in document["paths"].items():
        if path in OPEN_PATHS:
            continue
        for method, operation in operations.items():
            permission = permissions.get((path, method.upper()), "read")
            operation["responses"].update(
                {str(status): each for status, each in error_responses(403).items()}
            )
            operation["description"] += f"\n\nA key needs the permission `{permission}`."
            if key_needed:
                operation["security"] = [{"key": [permission]}]
    return document


def _permissions(app: FastAPI) -> dict[tuple[str, str], str]:
    """The permission that a route asks its caller for, by its path and method."""
    return {
        (route.path, method): permission
        for route in app.routes
        if isinstance(route, APIRoute)
        for needed in route.dependant.dependencies
        if (permission := getattr(needed.call, "permission", None))
        for method in route.methods or ()
    }
