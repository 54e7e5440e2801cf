"""The pages under /docs, with everything they need, and what FastAPI leaves out of the OpenAPI."""

import base64
import hashlib
import re
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from api.key import HEADER, OPEN_PREFIXES
from api.problems import Problem
from core.settings import ApiSettings

ASSETS = "/docs/assets"
DESCRIPTION = """
Scores Bitcoin transactions with the Isolation Forest in service and says why. Amounts are integer
satoshi, sizes bytes, weights weight units. **Unusual is not illicit**: a high score means rare
among recent transactions, no more. Every error is a problem detail (RFC 9457).
"""


def add_documentation(app: FastAPI, settings: ApiSettings) -> None:
    """Serve /docs from this machine alone, and complete the OpenAPI document."""
    page = HTMLResponse(
        bytes(
            get_swagger_ui_html(
                openapi_url="/openapi.json",
                title=app.title,
                swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
                swagger_css_url=f"{ASSETS}/swagger-ui.css",
                swagger_favicon_url=f"{ASSETS}/favicon.png",
            ).body
        )
    )
    page.headers["Content-Security-Policy"] = _policy(bytes(page.body).decode())

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return page

    app.mount(ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")))
    document: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not document:
            document.update(complete(app, settings))
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _policy(page: str) -> str:
    """Only our own files, and the page's one script by its hash."""
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
        "frame-ancestors 'none'"
    )


def complete(app: FastAPI, settings: ApiSettings) -> dict[str, Any]:
    """The OpenAPI document with the shape of errors, and the key where one is set."""
    found = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes
    )
    schemas = found["components"]["schemas"]
    reference = "#/components/schemas/{model}"
    problem = Problem.model_json_schema(ref_template=reference)
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    if settings.api_key is not None:
        _require_key(found)
    return found


def _require_key(found: dict[str, Any]) -> None:
    scheme = {"type": "apiKey", "in": "header", "name": HEADER}
    found["components"]["securitySchemes"] = {"key": scheme}
    for path, operations in found["paths"].items():
        if path not in OPEN_PREFIXES:
            for operation in operations.values():
                operation["security"] = [{"key": []}]
