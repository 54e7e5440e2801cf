"""Builds the Dash app around a desk: the page's frame, the plain routes, errors told kindly."""

import logging
from collections.abc import Iterator

from dash import Dash, set_props
from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dashboard import export
from dashboard.callbacks import register
from dashboard.desk import Desk
from dashboard.filters import Filters
from dashboard.layout import page
from dashboard.palette import style_sheet

log = logging.getLogger(__name__)

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:;"
    " frame-ancestors 'self'"
)
"""No request leaves the machine: the browser itself refuses any other host."""

FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
{%favicon%}
<link rel="icon" type="image/svg+xml" href="/assets/icon.svg">
<style>STYLE</style>
<script>
document.documentElement.dataset.theme = localStorage.getItem("theme")
  || (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
</script>
{%css%}
</head>
<body>
{%app_entry%}
<noscript>This page needs JavaScript.</noscript>
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""


def build(desk: Desk) -> Dash:
    """Make the app; it serves nothing yet."""
    app = Dash(
        __package__,
        title="Bitcoin Anomalies",
        update_title="",
        description="Bitcoin transactions as they arrive: which are unusual, and why.",
        index_string=FRAME.replace("STYLE", style_sheet()),
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        on_error=lambda error: _failed(desk, error),
        enable_mcp=False,
    )
    app.layout = lambda: page(desk.refresh_seconds)
    register(app, desk)
    _routes(app.server, desk)
    return app


def _failed(desk: Desk, error: Exception) -> None:
    """Log a callback's failure once with its context; the viewer gets a sentence."""
    desk.metrics.errors.labels("callback").inc()
    log.error("event=callback_failed", exc_info=error)
    said = "Something on this page could not be updated; it is tried again by itself."
    set_props("said", {"children": said})


def _routes(server: Flask, desk: Desk) -> None:
    @server.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(desk.metrics.registry), mimetype=CONTENT_TYPE_LATEST)

    @server.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @server.get("/export.csv")
    def exported() -> Response:
        view = Filters.from_query(request.query_string.decode(errors="replace"))
        rows, _ = desk.views.rows(view, desk.recent.snapshot)
        name = {"Content-Disposition": "attachment; filename=transactions.csv"}
        lines: Iterator[str] = export.lines(rows, view)
        return Response(lines, mimetype="text/csv", headers=name)

    @server.errorhandler(500)
    def broken(_: Exception) -> tuple[str, int]:
        return "This request failed; the log of the dashboard says why.", 500

    @server.after_request
    def guarded(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        return response
