"""The callbacks of the watch list's page: everything is asked of the API, as any program does."""

import base64
import binascii
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import requests
from dash import Dash, Input, Output, State, ctx, no_update
from dash.exceptions import PreventUpdate
from flask import Flask, Response

from dashboard.pages import watch_page as page
from dashboard.services import Services, Viewer

Json = dict[str, Any]
Answer = tuple[int, Json]

IMPORT_SECONDS, SEEN_SECONDS = 60.0, 35.0
"""A hundred thousand entries take some seconds; to look through a month takes its time."""

_UNANSWERED = (0, {"detail": "The API does not answer just now. Try again in a moment."})


def register_watch(app: Dash, services: Services) -> None:
    """Bind the page's callbacks and its export."""
    _register_list(app, services)
    _register_changes(app, services)
    _register_details(app, services)
    _register_seen(app, services)
    _add_export(app, services)


def ask(
    services: Services, method: str, path: str, seconds: float | None = None, **content: Any
) -> Answer:
    """Ask the API; status 0 and a sentence where it does not answer."""
    try:
        with services.metrics.callback_seconds.labels("watch").time():
            return services.api.send(method, path, seconds, **content)
    except requests.RequestException:
        services.metrics.errors.labels("api").inc()
        return _UNANSWERED


def _register_list(app: Dash, services: Services) -> None:
    @app.callback(
        Output("watch-at", "data"),
        Input("watch-previous", "n_clicks"),
        Input("watch-next", "n_clicks"),
        Input("watch-search", "value"),
        State("watch-at", "data"),
        prevent_initial_call=True,
    )
    def turn(_: int, __: int, ___: str, at: int | None) -> int:
        steps = {"watch-previous": -page.PAGE_ENTRIES, "watch-next": page.PAGE_ENTRIES}
        step = steps.get(str(ctx.triggered_id))
        return 0 if step is None else max((_number(at)) + step, 0)

    @app.callback(
        Output("watch-list", "children"),
        Output("watch-count", "children"),
        Output("watch-previous", "disabled"),
        Output("watch-next", "disabled"),
        Input("url", "pathname"),
        Input("client", "data"),
        Input("watch-slow", "data"),
        Input("watch-changed", "data"),
        Input("watch-at", "data"),
        State("watch-search", "value"),
    )
    def show(
        path: str,
        client: Json | None,
        _: int | None,
        __: int | None,
        at: int | None,
        search: str | None,
    ) -> tuple[Any, str, bool, bool]:
        if not path.rstrip("/").endswith("/watch") or client is None:
            raise PreventUpdate
        offset = _number(at)
        wanted = {"search": (search or "")[:256], "offset": offset, "limit": page.PAGE_ENTRIES}
        status, answer = ask(services, "GET", "/watch-list", params=wanted)
        if status != 200:
            return page.refused_view(status, answer), "", True, True
        items = page.entry_items(answer, ZoneInfo(Viewer.from_client(client).zone))
        is_last = offset + page.PAGE_ENTRIES >= answer["matching"]
        return items, page.count_words(answer, offset), offset == 0, is_last


def _register_changes(app: Dash, services: Services) -> None:
    @app.callback(
        Output("watch-answer", "children"),
        Output("watch-file-answer", "children"),
        Output("watch-file", "contents"),
        Output("watch-changed", "data"),
        Input("watch-save", "n_clicks"),
        Input("watch-remove", "n_clicks"),
        Input("watch-file", "contents"),
        State("watch-changed", "data"),
        {
            name: State(f"watch-{name}", "value")
            for name in ("entry", "name", "reason", "severity", "author")
        },
        prevent_initial_call=True,
    )
    def change(
        _: int, __: int, contents: str | None, changed: int | None, form: Json
    ) -> tuple[Any, Any, None, Any]:
        given = {name: str(value or "").strip() for name, value in form.items()}
        author = services.viewer_name() or given.pop("author")
        given.pop("author", None)
        if ctx.triggered_id == "watch-file":
            if not contents:
                raise PreventUpdate
            status, answer = _import(services, contents, given, author)
        elif ctx.triggered_id == "watch-remove":
            path = f"/watch-list/{quote(given['entry'], safe='') or '-'}"
            status, answer = ask(services, "DELETE", path, params=_named(author))
        else:
            body = {"entries": [given], **_named(author)}
            status, answer = ask(services, "POST", "/watch-list", json=body)
        view = _view(status, answer)
        is_file = ctx.triggered_id == "watch-file"
        news = _number(changed) + 1 if status == 200 else no_update
        return (no_update, view, None, news) if is_file else (view, no_update, None, news)


def _named(author: str) -> Json:
    return {"author": author} if author else {}


def _view(status: int, answer: Json) -> list[Any]:
    if status != 200:
        return page.refused_view(status, answer)
    return page.removed_view(answer) if "removed" in answer else page.changed_view(answer)


def _import(services: Services, contents: str, form: Json, author: str) -> Answer:
    """Send a file as the browser gives it: a data URL of base64."""
    try:
        content = base64.b64decode(contents.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        return 0, {"detail": "The browser has not sent a file."}
    defaults = {name: form[name] for name in ("name", "reason", "severity") if form[name]}
    return ask(
        services,
        "POST",
        "/watch-list/import",
        seconds=IMPORT_SECONDS,
        params=defaults | _named(author),
        data=content,
        headers={"Content-Type": "text/csv"},
    )


def _register_details(app: Dash, services: Services) -> None:
    @app.callback(
        Output("watch-details", "children"),
        Input("watch-chosen", "data"),
        Input("watch-changed", "data"),
        State("client", "data"),
        prevent_initial_call=True,
    )
    def details(entry: str | None, _: int | None, client: Json | None) -> Any:
        if not entry or client is None:
            return []
        status, history = ask(services, "GET", "/watch-list/history", params={"entry": entry})
        if status != 200:
            return page.refused_view(status, history)
        wanted = {"entry": entry, "days": 7, "limit": page.MOST_NAMED}
        status, seen = ask(services, "GET", "/watch-list/seen", SEEN_SECONDS, params=wanted)
        zone = ZoneInfo(Viewer.from_client(client).zone)
        return page.details_view(history["changes"], seen if status == 200 else None, zone)


def _register_seen(app: Dash, services: Services) -> None:
    @app.callback(
        Output("watch-seen", "children"),
        Input("watch-look", "n_clicks"),
        State("watch-days", "value"),
        State("client", "data"),
        prevent_initial_call=True,
    )
    def look(_: int, days: int | None, client: Json | None) -> Any:
        if client is None:
            raise PreventUpdate
        wanted = {"days": _number(days), "limit": 100}
        status, answer = ask(services, "GET", "/watch-list/seen", SEEN_SECONDS, params=wanted)
        if status != 200:
            return page.refused_view(status, answer)
        return page.seen_view(answer, ZoneInfo(Viewer.from_client(client).zone))


def _add_export(app: Dash, services: Services) -> None:
    server: Flask = app.server

    @server.get("/watch-list.csv")
    def export_watch_list() -> Response:
        """The API's file, for a browser that does not reach the API."""
        try:
            status, content = services.api.file("/watch-list.csv", IMPORT_SECONDS)
        except requests.RequestException:
            services.metrics.errors.labels("api").inc()
            return Response(f"{_UNANSWERED[1]['detail']}\n", 503, mimetype="text/plain")
        if status != 200:
            return Response("The API refuses the list.\n", status, mimetype="text/plain")
        headers = {"Content-Disposition": "attachment; filename=watch-list.csv"}
        return Response(content, mimetype="text/csv", headers=headers)


def _number(value: Any) -> int:
    """A whole number of a page's store; 0 for anything else."""
    return value if isinstance(value, int) else 0
