"""Builds the Dash app around a desk: the page's frame, the plain routes, errors told kindly."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plotly
from dash import Dash, set_props
from dash.fingerprint import build_fingerprint
from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from dashboard.activity import export
from dashboard.activity.filters import Filters
from dashboard.callbacks import register
from dashboard.first_view import first_view
from dashboard.look.theme import style_sheet
from dashboard.pages.layout import page
from dashboard.services import Desk

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
<!-- the first view -->
{%app_entry%}
<noscript>This page needs JavaScript.</noscript>
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""

PLACE = "<!-- the first view -->"

CLOCK = """<script>
for (const at of document.querySelectorAll("#first time")) {
  const form = at.className === "day" ? { day: "numeric", month: "short" }
    : { hour: "2-digit", minute: "2-digit" };
  at.textContent = new Date(at.dateTime).toLocaleString("en-GB", form);
}
</script>"""
"""Writes the moments of the first view by the viewer's clock."""


class Page(Dash):
    """Dash whose page comes with the first view in it."""

    def __init__(self, desk: Desk, *parts: Any, **settings: Any) -> None:
        self.desk = desk
        super().__init__(*parts, **settings)

    def index(self, *parts: Any, **more: Any) -> str:
        """The page's HTML, the first view before the place where Dash will draw."""
        page: str = super().index(*parts, **more)  # type: ignore[no-untyped-call]
        return page.replace(PLACE, self._first_view())

    def _first_view(self) -> str:
        if request.path != "/":
            return ""
        try:
            return first_view(self.desk, request.query_string.decode(errors="replace")) + CLOCK
        except Exception as error:  # the page can do without: it says itself what is wrong
            _count(self.desk, error)
            return ""


def build(desk: Desk) -> Dash:
    """Make the app; it serves nothing yet."""
    app = Page(
        desk,
        __package__,
        title="Bitcoin Anomalies",
        update_title="",
        description="Bitcoin transactions as they arrive: which are unusual, and why.",
        index_string=FRAME.replace("STYLE", style_sheet()),
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        external_scripts=[_plotly()],
        on_error=lambda error: _failed(desk, error),
        enable_mcp=False,
    )
    app.layout = lambda: page(desk.refresh_seconds)
    register(app, desk)
    _routes(app.server, desk)
    return app


def _plotly() -> str:
    """Plotly's own address, under which a browser keeps it for a year.

    Without this the page asks for it last of all, and anew at each visit.
    """
    package = Path(str(plotly.__file__)).parent / "package_data"
    stamp = int((package / "plotly.min.js").stat().st_mtime)
    file, version = "plotly/package_data/plotly.min.js", plotly.__version__
    path: str = build_fingerprint(file, version, stamp)  # type: ignore[no-untyped-call]
    return f"/_dash-component-suites/{path}"


def _failed(desk: Desk, error: Exception) -> None:
    """Log a callback's failure once with its context; the viewer gets a sentence."""
    _count(desk, error)
    said = "Something on this page could not be updated; it is tried again by itself."
    set_props("said", {"children": said})


def _count(desk: Desk, error: Exception) -> None:
    desk.metrics.errors.labels("callback").inc()
    log.error("event=callback_failed", exc_info=error)


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
