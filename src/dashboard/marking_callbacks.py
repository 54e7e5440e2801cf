"""The callbacks of marks and mutes: everything that is written goes through the API."""

import time
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import requests
from dash import ClientsideFunction, Dash, Input, Output, State, ctx, no_update, set_props
from dash.exceptions import PreventUpdate

from core.marks import MARKS, WITHDRAWN
from core.mutes import Mute, in_force, read_mutes
from dashboard.lake.opinions import Muting, payers
from dashboard.lake.recent import Snapshot
from dashboard.lake.rows import from_micros
from dashboard.lake.sources import LAKE_ERRORS, WRITE_SECONDS
from dashboard.look.formats import refusal, spaced
from dashboard.pages.marking import (
    BOUNDS,
    mark_state,
    mute_body,
    mutes_list,
    prefilled,
)
from dashboard.services import Services, Viewer

Json = dict[str, Any]

ALL_MARKS = (*MARKS, WITHDRAWN)
MOST_HISTORY = 20
NO_ANSWER = "The API does not answer: nothing was written."
WHOLE_HASH, WHOLE_ID = 64, 32

FORM = (
    *("address", "pattern", "until"),
    *(f"{name}-{side}" for name, _ in BOUNDS for side in ("min", "max")),
)
"""The inputs of the form that mutes, without their beginning `mute-`; `note` is beside them."""


def register_marking(app: Dash, services: Services) -> None:
    """Bind the callbacks of marks and mutes to an app."""
    _register_browser(app)
    _register_panel(app, services)
    _register_selection(app, services)
    _register_mute_form(app, services)
    _register_mute_save(app, services)
    _register_mutes_page(app, services)


def _register_browser(app: Dash) -> None:
    clientside_callback: Any = app.clientside_callback
    names = [(each, "value") for each in ("author", "select-author", "ending-author")]
    clientside_callback(
        ClientsideFunction("marking", "author"),
        [Output(*name) for name in names],
        [Input(*name) for name in names],
    )
    clientside_callback(
        ClientsideFunction("marking", "selection"),
        [Output("selection", "hidden"), Output("selection-count", "children")],
        Input("grid", "selectedRows"),
    )


def write(
    services: Services,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> tuple[bool, str]:
    """Write through the API: whether it has, and otherwise why not, as a sentence."""
    try:
        status, answer = services.api.send(
            method, path, WRITE_SECONDS, json=body, params=parameters
        )
    except requests.RequestException:
        services.metrics.errors.labels("api").inc()
        return False, NO_ANSWER
    if status < 300:
        set_props("written-opinion", {"data": time.time()})
        return True, ""
    return False, refusal(status, answer)


def _marking(mark: str, hashes: list[str], note: str | None, author: str | None) -> Json:
    body: Json = {"hashes": hashes, "mark": mark, "note": (note or "").strip()}
    return body | _named(author)


def _named(author: str | None) -> Json:
    return {"author": author} if author else {}


def whole_hash(snapshot: Snapshot, fragment: str | None) -> str | None:
    """The hash that the page's address names, by itself or its first digits; None for none."""
    digits = (fragment or "").lstrip("#").lower()
    if set(digits) - set("0123456789abcdef") or len(digits) < 16:
        return None
    if len(digits) == WHOLE_HASH:
        return digits
    rows = snapshot.rows
    found = rows.take(rows.hash_starts_with(digits))
    return found.hashes()[0] if len(found) else None


def _register_panel(app: Dash, services: Services) -> None:
    @app.callback(
        Output("mark-answer", "children"),
        Output("mark-note", "value"),
        inputs={
            "clicks": [Input(f"mark-{mark}", "n_clicks") for mark in ALL_MARKS],
            "fragment": State("url", "hash"),
            "note": State("mark-note", "value"),
            "author": State("author", "value"),
        },
        prevent_initial_call=True,
    )
    def mark_one(clicks: Any, fragment: str, note: str | None, author: str | None) -> Any:
        hash = whole_hash(services.recent.snapshot, fragment)
        if hash is None or not any(clicks):
            raise PreventUpdate
        mark = str(ctx.triggered_id).removeprefix("mark-")
        with services.metrics.callback_seconds.labels("marks").time():
            body = _marking(mark, [hash], note, services.author(author))
            written, why = write(services, "POST", "/marks", body)
        hint = " “Mute …” keeps its shape from being news." if mark == "known" else ""
        return (f"Marked as {spaced(mark)}.{hint}", "") if written else (why, no_update)

    @app.callback(
        Output("mark-state", "children"),
        Output("mark-withdrawn", "hidden"),
        Input("url", "hash"),
        Input("written-opinion", "data"),
        Input("panel-slow", "data"),
        Input("client", "data"),
    )
    def show_marks(fragment: str | None, _: float, __: int | None, client: Json | None) -> Any:
        hash = whole_hash(services.recent.snapshot, fragment)
        if ctx.triggered_id == "url":
            set_props("mark-answer", {"children": ""})  # of the transaction before
        if client is None or hash is None:
            return [], True
        try:
            history = _history(services, hash)
            mute = _mute_of(services, hash)
        except LAKE_ERRORS:
            services.metrics.errors.labels("lake").inc()
            return "What was marked cannot be read just now.", True
        marked = bool(history) and history[0]["mark"] != WITHDRAWN
        return mark_state(history, mute, ZoneInfo(Viewer.from_client(client).zone)), not marked


def _history(services: Services, hash: str) -> list[Json]:
    """The marks of a transaction, the newest first."""
    columns = "mark, author, note, marked_at"
    sql = f"SELECT {columns} FROM marks WHERE hash = '{hash}' ORDER BY marked_at DESC, id DESC"
    table = services.casework.query(f"{sql} LIMIT {MOST_HISTORY}", "marks")
    return [] if table is None else list(table.to_pylist())


def _mute_of(services: Services, hash: str) -> Mute | None:
    """The mute in force that matches a flagged transaction."""
    muting = services.recent.snapshot.opinions.muting
    row = _row(services, hash) if muting.mutes else None
    if row is None or not row["is_anomaly"]:
        return None
    id = muting.muted_by(row)
    return next((mute for mute in muting.mutes if mute.id == id), None)


def _row(services: Services, hash: str) -> Json | None:
    """The scored transaction; its time, where it is in memory, saves reading other days."""
    rows = services.recent.snapshot.rows
    found = rows.take(rows.hash_starts_with(hash))
    seen = from_micros(int(found["time"][0])) if len(found) else None
    return services.lake.transaction(hash, seen)


def _register_selection(app: Dash, services: Services) -> None:
    @app.callback(
        Output("selection-answer", "children"),
        Output("select-note", "value"),
        Output("grid", "selectedRows"),
        inputs={
            "clicks": [Input(f"select-{mark}", "n_clicks") for mark in ALL_MARKS],
            "rows": State("grid", "selectedRows"),
            "note": State("select-note", "value"),
            "author": State("select-author", "value"),
        },
        prevent_initial_call=True,
    )
    def mark_many(
        clicks: Any, rows: list[Json] | None, note: str | None, author: str | None
    ) -> Any:
        if not rows or not any(clicks):
            raise PreventUpdate
        mark = str(ctx.triggered_id).removeprefix("select-")
        hashes = [str(row["hash"]) for row in rows]
        with services.metrics.callback_seconds.labels("marks").time():
            body = _marking(mark, hashes, note, services.author(author))
            written, why = write(services, "POST", "/marks", body)
        if not written:
            return why, no_update, no_update
        return f"{len(hashes)} marked as {spaced(mark)}.", "", []


def _register_mute_form(app: Dash, services: Services) -> None:
    @app.callback(
        output={
            "hidden": Output("mute-form", "hidden"),
            "answer": Output("mute-answer", "children"),
            "addresses": Output("mute-address", "options"),
            "patterns": Output("mute-pattern", "options"),
            "values": {name: Output(f"mute-{name}", "value") for name in FORM},
        },
        inputs=[
            Input("mute-open", "n_clicks"),
            Input("mute-cancel", "n_clicks"),
            Input("url", "hash"),
        ],
        prevent_initial_call=True,
    )
    def open_form(_: int, __: int, fragment: str | None) -> Json:
        shut = {
            "addresses": no_update,
            "patterns": no_update,
            "values": dict.fromkeys(FORM, no_update),
        }
        hash = whole_hash(services.recent.snapshot, fragment)
        if ctx.triggered_id != "mute-open" or hash is None:
            return shut | {"hidden": True, "answer": ""}
        with services.metrics.callback_seconds.labels("mutes").time():
            try:
                return _opened_form(services, hash)
            except LAKE_ERRORS:
                services.metrics.errors.labels("lake").inc()
                return shut | {"hidden": False, "answer": "The lake cannot be read just now."}


def _register_mute_save(app: Dash, services: Services) -> None:
    @app.callback(
        Output("mute-saved", "children"),
        Input("mute-save", "n_clicks"),
        {name: State(f"mute-{name}", "value") for name in (*FORM, "note")},
        State("author", "value"),
        State("client", "data"),
        prevent_initial_call=True,
    )
    def save(_: int, form: Json, author: str | None, client: Json | None) -> Any:
        zone = ZoneInfo(Viewer.from_client(client or {}).zone)
        try:
            body = mute_body(form, zone)
        except (ValueError, OverflowError):
            return "Until when? A date is needed."
        body |= _named(services.author(author))
        with services.metrics.callback_seconds.labels("mutes").time():
            written, why = write(services, "POST", "/mutes", body)
        if written:
            set_props("mute-form", {"hidden": True})
            done = "Muted: the table leaves it out from its next refresh on."
            set_props("mark-answer", {"children": done})
        return why


def _opened_form(services: Services, hash: str) -> Json:
    row = _row(services, hash)
    if row is None:
        raise PreventUpdate
    seen = row["event_time"]
    paying = list(dict(payers(services.lake, [hash], seen, seen)).get(hash, ()))
    values = prefilled(row, paying, services.recent.clock())
    patterns = row.get("patterns") or [name for name in [row.get("pattern")] if name]
    return {
        "hidden": False,
        "answer": "" if paying else "Who pays it is not known, so that cannot be muted.",
        "addresses": paying,
        "patterns": [{"label": spaced(name), "value": name} for name in patterns],
        "values": values,
    }


def _register_mutes_page(app: Dash, services: Services) -> None:
    @app.callback(
        Output("mutes-list", "children"),
        Input("mutes-slow", "data"),
        Input("url", "pathname"),
        Input("client", "data"),
        Input("written-opinion", "data"),
    )
    def show_mutes(_: int | None, path: str, client: Json | None, __: float) -> Any:
        if not path.rstrip("/").endswith("/mutes") or client is None:
            raise PreventUpdate
        with services.metrics.callback_seconds.labels("mutes").time():
            try:
                counted = _counted_mutes(services)
            except LAKE_ERRORS:
                services.metrics.errors.labels("lake").inc()
                return "The mutes cannot be read just now."
            hours = services.recent.kept.total_seconds() / 3600
            return mutes_list(counted, hours, ZoneInfo(Viewer.from_client(client).zone))

    @app.callback(
        Output("ending-answer", "children"),
        Input("mute-to-end", "data"),
        State("ending-author", "value"),
        prevent_initial_call=True,
    )
    def end(asked: Json | None, author: str | None) -> Any:
        id = str((asked or {}).get("id", ""))
        if len(id) != WHOLE_ID or set(id) - set("0123456789abcdef"):
            raise PreventUpdate
        named = _named(services.author(author))
        with services.metrics.callback_seconds.labels("mutes").time():
            written, why = write(services, "DELETE", f"/mutes/{id}", parameters=named)
        return "Ended." if written else why


def _counted_mutes(services: Services) -> list[tuple[Mute, int]]:
    """The mutes in force, each with how many of the flagged rows in memory it matches."""
    snapshot = services.recent.snapshot
    rows, paid_by = snapshot.rows, snapshot.opinions.muting.paid_by
    flagged = rows["by_model"] | rows["by_rule"]
    return [
        (mute, int(Muting((mute,), paid_by).mask(rows, flagged).sum()))
        for mute in in_force(read_mutes(services.casework), services.recent.clock())
    ]
