"""The web server: the page's HTML with the first view, the plain routes, and what errors answer.

The first view is the activity page before any script has run: a Jinja template with the numbers,
and a skeleton where the charts and the table will be. The browser removes it when Dash has drawn
the first chart (`replaceFirstView` in `assets/page.js`).
"""

import hmac
import json
import logging
import socket
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import plotly
import requests
from dash import Dash, set_props
from dash.fingerprint import build_fingerprint
from flask import Flask, Response, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from waitress.server import create_server

from core.detector.explanation import NOT_ILLICIT
from dashboard import callback_bodies
from dashboard.activity.chips import chips
from dashboard.activity.filters import AXES, CUSTOM, ORDERS, PRESETS, Filters
from dashboard.activity.page_text import page_text, threshold_readout
from dashboard.callbacks import register_callbacks
from dashboard.lake.sources import Api
from dashboard.look.formats import refusal
from dashboard.look.theme import style_sheet
from dashboard.pages.layout import (
    FIRST_FIGURES,
    LINKED_PAGES,
    OTHER_FIGURES,
    PAGES,
    TILES,
    page,
)
from dashboard.services import Services

log = logging.getLogger(__name__)

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:;"
    " frame-ancestors 'self'"
)
"""No request leaves the machine: the browser itself refuses any other host."""

THREADS = 8
SILENT_CLIENT_SECONDS = 30
"""A client that has read nothing for this long while an answer waits for it is disconnected."""

BUFFERED_BYTES = 1 << 20
"""An answer that waits for its client is written on when less than this is left of it."""

REPORT_SECONDS = 30
"""The longest wait for the API's report; that of a full day is computed in some seconds."""

ANY_PAGE = "/<path:path>"
"""Dash's own rule, by which it answers every path with the page."""

OPEN_PATHS = ("/health", "/ready", "/metrics")
"""Paths that no password guards: probes and Prometheus ask them."""


class DashboardApp(Dash):
    """Dash with the page's HTML from a template, which includes the first view."""

    def __init__(self, services: Services, *parts: Any, **settings: Any) -> None:
        self.services = services
        super().__init__(*parts, **settings)

    def interpolate_index(self, *_: Any, **parts: Any) -> str:
        """The page's HTML; `parts` are those that Dash needs in it."""
        first_view = ""
        if request.path == "/":
            query = request.query_string.decode(errors="replace")
            try:
                first_view = render_first_view(self.services, query)
            except Exception as error:  # the page works without, and its callbacks show the error
                _log_failure(self.services, error)
        return render_template(
            "page.html",
            colours=style_sheet(),
            first_view=first_view,
            prefix=self.services.path_prefix,
            version=page_version(),
            plotly=self.services.path_prefix.rstrip("/") + plotly_address(),
            **parts,
        )


def render_first_view(services: Services, query: str) -> str:
    """The activity page for a URL's query as HTML; its numbers depend on no theme and no zone."""
    filters = Filters.from_query(query)
    view = services.views.view(filters, "dark", "UTC")
    return render_template(
        "first_view.html",
        pages=PAGES,
        ranges=[(name, name) for name in (*PRESETS, CUSTOM)],
        orders=ORDERS,
        axes=AXES,
        tile_titles=TILES,
        first_figures=FIRST_FIGURES,
        other_figures=OTHER_FIGURES,
        footer=NOT_ILLICIT,
        prefix=services.path_prefix,
        origin=services.origin,
        filters=filters,
        chips=chips(filters),
        text=page_text(view, filters, services.refresh_seconds),
        readout=threshold_readout(view.snapshot, view.aggregates, filters),
    )


def build_app(services: Services) -> Dash:
    """The app with its routes and callbacks; it serves nothing yet."""
    app = DashboardApp(
        services,
        __package__,
        title="Bitcoin Anomalies",
        update_title="",
        description="Bitcoin transactions as they arrive: which are unusual, and why.",
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        requests_pathname_prefix=services.path_prefix,
        routes_pathname_prefix="/",
        on_error=lambda error: _show_failure(services, error),
        compress=True,
        enable_mcp=False,
    )
    # Streams are left alone: an export is written as it is read, and a file as the system sends it.
    app.server.config["COMPRESS_STREAMS"] = False
    app.layout = lambda: page(services)
    register_callbacks(app, services)
    _add_routes(app.server, services)
    _refuse_other_pages(app.server, services.path_prefix)
    _refuse_other_bodies(app.server, app)
    return app


def plotly_address() -> str:
    """Plotly's address with its version in it, so that a browser keeps it for a year.

    Dash's graphs would request it without, and again at each visit. The page's template requests it
    when the scripts without which nothing works are there: it is more than half of all bytes.
    """
    package = Path(str(plotly.__file__)).parent / "package_data"
    modified = int((package / "plotly.min.js").stat().st_mtime)
    file, version = "plotly/package_data/plotly.min.js", plotly.__version__
    path: str = build_fingerprint(file, version, modified)  # type: ignore[no-untyped-call]
    return f"/_dash-component-suites/{path}"


def _show_failure(services: Services, error: Exception) -> None:
    _log_failure(services, error)
    message = "Something on this page could not be updated; it is tried again by itself."
    set_props("toast", {"children": message})


def _log_failure(services: Services, error: Exception) -> None:
    services.metrics.errors.labels("callback").inc()
    log.error("event=callback_failed path=%s", request.path, exc_info=error)


def _add_routes(server: Flask, services: Services) -> None:
    @server.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(services.metrics.registry), mimetype=CONTENT_TYPE_LATEST)

    @server.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @server.get("/ready")
    def ready() -> tuple[dict[str, Any], int]:
        faults = services.faults()
        return {"ready": not faults, "faults": faults}, 503 if faults else 200

    @server.get("/export.csv")
    def export() -> Response:
        filters = Filters.from_query(request.query_string.decode(errors="replace"))
        muting = services.recent.snapshot.opinions.muting
        lines = services.exports.start(filters, services.recent.clock(), muting)
        if lines is None:
            reason = "As many CSV exports as are allowed are under way; try again in a minute.\n"
            return Response(reason, 503, {"Retry-After": "60"}, mimetype="text/plain")
        headers = {"Content-Disposition": "attachment; filename=transactions.csv"}
        return Response(lines, mimetype="text/csv", headers=headers)

    @server.get("/report")
    def report() -> Response:
        return _report(services.api, request.args.get("day"))

    @server.before_request
    def ask_for_password() -> Response | None:
        if services.password is None or request.path in OPEN_PATHS:
            return None
        given = (request.authorization and request.authorization.password) or ""
        if hmac.compare_digest(given.encode(), services.password.encode()):
            return None
        challenge = {"WWW-Authenticate": 'Basic realm="Bitcoin Anomalies", charset="UTF-8"'}
        return Response("This dashboard asks for a password.\n", 401, challenge)

    @server.errorhandler(500)
    def answer_error(_: Exception) -> tuple[str, int]:
        return "This request failed; the log of the dashboard says why.", 500

    @server.after_request
    def add_security_headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Dashboard-Version"] = page_version()
        return response


def _report(api: Api, day: str | None) -> Response:
    """The page of a day (YYYY-MM-DD, by default yesterday), or why there is none, as a sentence."""
    asked = {"format": "html"} | ({"day": day} if day else {})
    try:
        status, content = api.file(f"/report?{urlencode(asked)}", REPORT_SECONDS)
    except requests.RequestException:
        return _no_report("The API does not answer, which makes the report: try again.", 503)
    if status == 200:
        return Response(content, mimetype="text/html")
    return _no_report(refusal(status, _problem(content)), status)


def _problem(content: bytes) -> dict[str, Any]:
    """The API's problem document; empty where the answer is none."""
    try:
        problem = json.loads(content)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _no_report(why: str, status: int) -> Response:
    return Response(f"{why}\n", status, mimetype="text/plain")


def _refuse_other_pages(server: Flask, path_prefix: str) -> None:
    pages = [path for path, _ in PAGES]
    names = ", ".join(path_prefix.rstrip("/") + path for path in pages)

    @server.before_request
    def check_page() -> Response | None:
        if request.url_rule is None or request.url_rule.rule != ANY_PAGE:
            return None
        if f"/{request.path.split('/')[1]}" in (*pages, *LINKED_PAGES):
            return None
        why = f"There is no such page. The pages are {names}.\n"
        return Response(why, 404, mimetype="text/plain")


def _refuse_other_bodies(server: Flask, app: Dash) -> None:
    @server.before_request
    def check_callback_body() -> Response | None:
        if request.path != callback_bodies.PATH or request.method != "POST":
            return None
        fault = callback_bodies.body_fault(app.callback_map, request.get_data())
        return None if fault is None else Response(f"{fault}\n", 400, mimetype="text/plain")


@cache
def page_version() -> str:
    """Changes whenever the code of the page does: an open tab compares it with its own."""
    package = Path(__file__).parent
    files = (path for path in package.rglob("*") if path.suffix in (".py", ".js", ".css", ".html"))
    return sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()[:12]


def web_server(
    services: Services, host: str, port: int, silent_seconds: float = SILENT_CLIENT_SECONDS
) -> Any:
    """The server on its port; `run` serves. The prefix is cut off where the proxy has not.

    The system disconnects a client that reads nothing, so that it cannot hold a thread.
    """
    server = create_server(
        build_app(services).server,
        host=host,
        port=port,
        threads=THREADS,
        url_prefix=services.path_prefix.rstrip("/"),
        outbuf_high_watermark=BUFFERED_BYTES,
        max_request_body_size=callback_bodies.MAX_BYTES,
        log_socket_errors=False,
    )
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        limit = (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silent_seconds * 1000))
        server.adj.socket_options = [*server.adj.socket_options, limit]
    return server
