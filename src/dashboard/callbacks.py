"""The thin layer between the browser and the pure functions, bound to one app by `register`.

What the browser answers by itself, bound to the functions of `assets/page.js`.
"""

from typing import Any
from zoneinfo import ZoneInfo

import requests
from dash import ClientsideFunction, Dash, Input, Output, State, ctx, no_update, set_props
from dash.exceptions import PreventUpdate

from dashboard.activity import filter_inputs, queries, tiles
from dashboard.activity.filters import Filters
from dashboard.activity.tiles import pipeline_state
from dashboard.activity.view import current_threshold
from dashboard.pages import trial
from dashboard.pages.layout import FIGURE_NAMES, PAGES, TILES
from dashboard.pages.model_page import model_view
from dashboard.pages.transaction_panel import drawer
from dashboard.services import Desk, Viewer

Answer = dict[str, Any]


def register(app: Dash, desk: Desk) -> None:
    """Bind every callback to an app."""
    register_browser(app)
    _register_activity(app, desk)
    _register_filters(app, desk)
    _register_transaction(app, desk)
    _register_trial(app, desk)


def _register_activity(app: Dash, desk: Desk) -> None:
    @app.callback(
        output={
            "pill": (Output("pill", "children"), Output("pill", "className"),
                     Output("pill", "title")),
            "notices": Output("notices", "children"),
            "tiles": {n: (Output(f"{n}-number", "children"), Output(f"{n}-note", "children"))
                      for n, _ in TILES},
            "figures": Output("figures", "data"),
            "empty": {n: Output(f"{n}-empty", "children") for n in FIGURE_NAMES},
            "rows": Output("grid", "rowData"),
            "note": Output("table-note", "children"),
            "serial": Output("serial", "data"),
        },
        inputs=[Input("tick", "n_intervals"), Input("url", "search"), Input("client", "data"),
                State("serial", "data")],
    )  # fmt: skip
    def refresh(_: int, search: str, client: Answer | None, serial: int | None) -> Answer:
        if client is None:
            raise PreventUpdate
        desk.saw(client)
        if ctx.triggered_id == "tick" and serial == desk.recent.snapshot.serial:
            raise PreventUpdate
        with desk.timed("activity"):
            return shown(desk, Filters.from_query(search), Viewer.of(client))

    @app.callback(
        Output("readout", "children"),
        Input("threshold", "drag_value"),
        Input("url", "search"),
        Input("serial", "data"),
    )
    def read_out(dragged: float | None, search: str, _: int) -> Any:
        view, snapshot = Filters.from_query(search), desk.recent.snapshot
        rows, _problem = desk.views.rows(view, snapshot)
        passing = queries.narrowed(rows, view)
        moved = dragged if ctx.triggered_id == "threshold" else None
        return tiles.readout(*tiles.flags(snapshot, passing, view, moved))


def shown(desk: Desk, view: Filters, viewer: Viewer) -> Answer:
    """Every output of the activity page for one view."""
    found = desk.views.activity(view, viewer.theme, viewer.zone)
    state = pipeline_state(found.snapshot, desk.origin)
    empty = tiles.nothing(found, state)
    waits = "Waiting for the stream's first ten minutes." if found.windows is None else ""
    return {
        "pill": (state.word, f"pill {state.kind}", state.sentence),
        "notices": tiles.notices(found),
        "tiles": tiles.tiles(found, view, state),
        "figures": {n: getattr(found, n) or {} for n in FIGURE_NAMES},
        "empty": {n: waits if n == "windows" else empty for n in FIGURE_NAMES},
        "rows": found.table,
        "note": tiles.table_note(found, view),
        "serial": found.snapshot.serial,
    }


def _register_filters(app: Dash, desk: Desk) -> None:
    @app.callback(
        output={
            "inputs": {n: Output(n, "value") for n in filter_inputs.INPUTS},
            "custom": Output("custom-range", "hidden"),
            "narrowing": Output("narrowing", "children"),
        },
        inputs={
            "search": Input("url", "search"),
            "values": {n: Input(n, "value") for n in filter_inputs.INPUTS},
            "_reset": Input("reset", "n_clicks"),
            "brushed": Input("scatter", "selectedData"),
            "pattern": Input("patterns", "clickData"),
            "client": Input("client", "data"),
        },
    )
    def follow(search: str, values: Answer, _reset: int, brushed: Answer | None,
               pattern: Answer | None, client: Answer | None) -> Answer:  # fmt: skip
        if client is None:
            raise PreventUpdate
        snapshot, zone = desk.recent.snapshot, ZoneInfo(Viewer.of(client).zone)
        model = current_threshold(snapshot)
        old, cause = Filters.from_query(search), ctx.triggered_id
        with desk.timed("filters"):
            new = filter_inputs.changed(
                old, cause, values, brushed, pattern, model, snapshot.taken, zone
            )
        if new != old:
            # not an Output: at the start the figures would wait for this callback's answer
            set_props("url", {"search": new.query})
        return {
            "inputs": filter_inputs.values(new, model, zone),
            "custom": new.range != "custom",
            "narrowing": f" {new.narrowing}" if new.narrowing else "",
        }


def _register_transaction(app: Dash, desk: Desk) -> None:
    @app.callback(
        Output("why", "children"),
        Output("drawer", "className"),
        Input("url", "hash"),
        Input("slow", "n_intervals"),
        Input("client", "data"),
        State("url", "search"),
    )
    def explain(mark: str | None, _: int, client: Answer | None, search: str) -> Any:
        if client is None:
            raise PreventUpdate
        wanted = (mark or "").lstrip("#").lower()
        if not wanted or wanted == "transactions":
            return no_update, "closed"
        with desk.timed("transaction"):
            zone = ZoneInfo(Viewer.of(client).zone)
            return drawer(desk, wanted, Filters.from_query(search), zone), "open"


def _register_trial(app: Dash, desk: Desk) -> None:
    @app.callback(
        Output("answer", "children"),
        Input("score-form", "n_clicks"),
        Input("score-json", "n_clicks"),
        State("pasted", "value"),
        {n: State(f"try-{n}", "value") for n in trial.EXAMPLE},
        prevent_initial_call=True,
    )
    def score(_form: int, _json: int, pasted: str | None, form: Answer) -> Any:
        body = (pasted or "") if ctx.triggered_id == "score-json" else trial.form_body(form)
        try:
            with desk.timed("score"):
                return trial.answer_view(*desk.api.score(body), body)
        except requests.RequestException:
            desk.metrics.errors.labels("api").inc()
            return trial.unreachable()

    @app.callback(
        Output("page-model", "children"),
        Input("slow", "n_intervals"),
        Input("url", "pathname"),
        Input("client", "data"),
    )
    def model(_: int, path: str, client: Answer | None) -> Any:
        if path != "/model" or client is None:
            raise PreventUpdate
        with desk.timed("model"):
            known, zone = desk.recent.snapshot, ZoneInfo(Viewer.of(client).zone)
            drift = _drift(desk)
            return model_view(known.model, known.api_problem, drift, desk.mlflow, zone)


def _drift(desk: Desk) -> dict[str, float] | None:
    try:
        return desk.trainer.drift()
    except requests.RequestException:
        return None


def register_browser(app: Dash) -> None:
    """What the browser answers by itself: theme, pages, pause, links."""
    own = "page"
    bind: Any = app.clientside_callback
    bind(
        ClientsideFunction(own, "client"),
        Output("client", "data"),
        Input("theme", "n_clicks"),
    )
    bind(
        ClientsideFunction(own, "show"),
        [Output(f"page-{path[1:] or 'activity'}", "hidden") for path, _ in PAGES],
        [Output(f"nav-{path[1:] or 'activity'}", "className") for path, _ in PAGES],
        Input("url", "pathname"),
    )
    bind(
        ClientsideFunction(own, "pause"),
        Output("tick", "disabled"),
        Output("pause", "children"),
        Input("pause", "n_clicks"),
        prevent_initial_call=True,
    )
    bind(ClientsideFunction(own, "exported"), Output("export", "href"), Input("url", "search"))
    bind(
        ClientsideFunction(own, "draw"),
        Input("figures", "data"),
        prevent_initial_call=True,
    )
    bind(
        ClientsideFunction(own, "pointed"),
        Output("url", "hash"),
        Input("scatter", "clickData"),
        prevent_initial_call=True,
    )
