"""The callbacks: a thin layer between the browser and the pure functions."""

from collections.abc import Collection
from typing import Any
from zoneinfo import ZoneInfo

import requests
from dash import (
    Dash,
    Input,
    Output,
    State,
    ctx,
    dcc,
    html,
    no_update,
    set_props,
)
from dash.exceptions import PreventUpdate

from dashboard.activity import filter_events
from dashboard.activity.chips import Chip, chips
from dashboard.activity.filter_inputs import INPUTS
from dashboard.activity.filters import BOUNDED, Filters, problems
from dashboard.activity.page_text import page_text, threshold_readout
from dashboard.activity.view import TABLE, model_threshold
from dashboard.address_callbacks import register_address
from dashboard.browser_callbacks import register_browser
from dashboard.casework_callbacks import register_casework
from dashboard.lake.recent import Snapshot
from dashboard.marking_callbacks import register_marking
from dashboard.pages import trial
from dashboard.pages.address_page import PATH, whole_address
from dashboard.pages.budget_panel import budget_panel
from dashboard.pages.layout import (
    FIGURE_NAMES,
    TILES,
    part_rows,
    readout_text,
    tile_number,
)
from dashboard.pages.marking import muted_link
from dashboard.pages.model_page import model_view
from dashboard.pages.transaction_panel import transaction_panel
from dashboard.services import Services, Viewer
from dashboard.watch_callbacks import register_watch

Json = dict[str, Any]

WHOLE_HASH = 64
"""Digits of a hash."""

CHECKED = ("range", *BOUNDED)
"""The filters that say beside their inputs why nothing can pass them."""


def register_callbacks(app: Dash, services: Services) -> None:
    """Bind every callback to an app."""
    register_browser(app)
    _register_activity(app, services)
    _register_readout(app, services)
    _register_filters(app, services)
    _register_transaction(app, services)
    _register_trial(app, services)
    _register_model(app, services)
    register_marking(app, services)
    register_address(app, services)
    register_watch(app, services)
    register_casework(app, services)


def _register_activity(app: Dash, services: Services) -> None:
    pill = tuple(Output("pill", name) for name in ("children", "className", "title"))
    tiles = {
        n: [Output(f"{n}-{part}", "children") for part in ("number", "note")] for n, _ in TILES
    }

    @app.callback(
        output={
            "pill": pill,
            "notices": Output("notices", "children"),
            "parts": Output("parts", "children"),
            "tiles": tiles,
            "figures": {name: Output(f"{name}-figure", "data") for name in FIGURE_NAMES},
            "empty": {name: Output(f"{name}-empty", "children") for name in FIGURE_NAMES},
            "charts": {name: Output(f"{name}-words", "children") for name in FIGURE_NAMES},
            "rows": Output("table-rows", "data"),
            "note": Output("table-note", "children"),
            "muted": Output("muted-note", "children"),
            "shown": Output("shown", "data"),
        },
        inputs=[
            Input("activity-tick", "data"),
            Input("url", "search"),
            Input("client", "data"),
            State("shown", "data"),
        ],
    )
    def refresh(_: int, search: str, client: Json | None, shown: Json | None) -> Json:
        if client is None:
            raise PreventUpdate
        services.record_viewer(client)
        is_shown = _serial(shown) == services.recent.snapshot.serial
        if is_shown and ctx.triggered_id == "activity-tick":
            raise PreventUpdate
        with services.metrics.callback_seconds.labels("activity").time():
            filters = Filters.from_query(search)
            return activity_outputs(services, filters, Viewer.from_client(client), shown)


def _register_readout(app: Dash, services: Services) -> None:
    @app.callback(
        Output("readout", "children"),
        Input("threshold", "drag_value"),
        Input("url", "search"),
        Input("shown", "data"),
    )
    def read_out(dragged: float | None, search: str, _: Json | None) -> Any:
        filters, snapshot = Filters.from_query(search), services.recent.snapshot
        aggregates, _problem = services.views.aggregates(filters, snapshot)
        dragged = dragged if ctx.triggered_id == "threshold" else None
        return readout_text(threshold_readout(snapshot, aggregates, filters, dragged))


def activity_outputs(
    services: Services, filters: Filters, viewer: Viewer, shown: Json | None
) -> Json:
    """Every output of the activity page; figures and table only where other ones are `shown`.

    `shown` is what the page says of the view that it shows: this function's own `shown`.
    """
    view = services.views.view(filters, viewer.theme, viewer.zone)
    text = page_text(view, filters, services.refresh_seconds)
    state = text.state
    key = {"query": filters.query, "theme": viewer.theme, "zone": viewer.zone}
    parts = view.changed_since(_serial(shown, key))
    return {
        "pill": (state.word, f"pill {state.kind}", state.sentence),
        "notices": [html.P(notice) for notice in text.notices],
        "parts": part_rows(text.parts),
        "tiles": {name: (tile_number(tile), tile.note) for name, tile in text.tiles.items()},
        "figures": {name: parts.get(name, no_update) for name in FIGURE_NAMES},
        "empty": text.empty,
        "charts": text.charts,
        "rows": {"query": filters.query, "rows": parts[TABLE]} if TABLE in parts else no_update,
        "note": text.table_note,
        "muted": muted_link(text.muted_note, filters, services.path_prefix),
        "shown": {"serial": view.snapshot.serial, "of": key},
    }


def _serial(shown: Any, key: Json | None = None) -> int:
    """The serial of the view that the page shows; -1 for none, or for one of another key."""
    match shown:
        case {"serial": int(serial), "of": of} if key in (None, of):
            return serial
    return -1


def _register_filters(app: Dash, services: Services) -> None:
    @app.callback(
        output={
            "inputs": {name: Output(name, "value") for name in INPUTS},
            "hide_custom": Output("custom-range", "hidden"),
            "count": Output("filter-count", "children"),
            "chips": Output("chips", "children"),
            "problems": {name: Output(f"{name}-problem", "children") for name in CHECKED},
        },
        inputs={
            "search": Input("url", "search"),
            "values": {name: Input(name, "value") for name in INPUTS},
            "_reset": Input("reset", "n_clicks"),
            "drawn": Input("drawn", "data"),
            "client": Input("client", "data"),
            "written": State("written", "data"),
        },
    )
    def follow(
        search: str,
        values: Json,
        _reset: int,
        drawn: Json | None,
        client: Json | None,
        written: str | None,
    ) -> Json:
        if client is None:
            raise PreventUpdate
        snapshot, zone = services.recent.snapshot, ZoneInfo(Viewer.from_client(client).zone)
        old, trigger = Filters.from_query(search), ctx.triggered_id
        if trigger == "hash" and (address := whole_address(values["hash"])):
            set_props("url", {"pathname": f"{services.path_prefix}{PATH}{address}"})
            trigger = "address"  # the filters stay, and the input shows theirs again
        what = None
        if trigger == "drawn":
            trigger, what = (drawn or {}).get("on"), (drawn or {}).get("what")
        # A URL that an input has caused may be older than the inputs, which the viewer moves on.
        follows_inputs = trigger == "url" and written is not None and written == search
        trigger = "threshold" if follows_inputs else trigger
        with services.metrics.callback_seconds.labels("filters").time():
            model, now = model_threshold(snapshot), snapshot.taken_at
            new = filter_events.after_event(old, trigger, values, what, model, now, zone)
        _write_address(old, new, trigger, written)
        kept = INPUTS if follows_inputs else [trigger] if trigger in INPUTS else []
        return filter_outputs(new, kept, snapshot, zone) | {
            "chips": [_chip(chip, services.path_prefix) for chip in chips(new)]
        }


def _write_address(old: Filters, new: Filters, trigger: str | None, written: str | None) -> None:
    """Write the filters to the page's address, and remember which address an input has caused."""
    if new.query != old.query:  # what is written again is followed again
        # not an Output: at the start the figures would wait for this callback's answer
        set_props("url", {"search": new.query})
    if trigger == "hash" and len(new.hash) == WHOLE_HASH:
        set_props("url", {"hash": f"#{new.hash}"})  # its panel, wherever in the lake it is
    if (cause := new.query if trigger in INPUTS else None) != written:
        set_props("written", {"data": cause})


def _chip(chip: Chip, prefix: str) -> dcc.Link:
    words: Any = [chip.words, html.Span("✕", className="cross")]
    title = "Remove this filter"
    return dcc.Link(words, href=chip.query or prefix, className="chip", title=title)


def filter_outputs(
    filters: Filters, kept: Collection[str], snapshot: Snapshot, zone: ZoneInfo
) -> Json:
    """Every output of the filters; the inputs in `kept` stay as the viewer has set them."""
    shown = filter_events.input_values(filters, model_threshold(snapshot), zone)
    wrong = problems(filters, snapshot.taken_at)
    return {
        "inputs": shown | dict.fromkeys(kept, no_update),
        "hide_custom": filters.range != "custom",
        "count": f" {filters.row_filters}" if filters.row_filters else "",
        "problems": {name: wrong.get(name, "") for name in CHECKED},
    }


def _register_transaction(app: Dash, services: Services) -> None:
    @app.callback(
        Output("why", "children"),
        Input("url", "hash"),
        Input("panel-slow", "data"),
        Input("client", "data"),
        State("url", "search"),
    )
    def explain(fragment: str | None, _: int | None, client: Json | None, search: str) -> Any:
        if client is None:
            raise PreventUpdate
        digits = (fragment or "").lstrip("#").lower()
        if not digits or digits == "transactions":
            return no_update
        with services.metrics.callback_seconds.labels("transaction").time():
            zone = ZoneInfo(Viewer.from_client(client).zone)
            filters = Filters.from_query(search)
            return transaction_panel(services, digits, filters, zone)


def _register_trial(app: Dash, services: Services) -> None:
    names = {trial.example_id(name): name for name in trial.EXAMPLES}

    @app.callback(
        [Output(f"try-{name}", "value") for name in trial.EXAMPLE],
        [Input(button, "n_clicks") for button in names],
        prevent_initial_call=True,
    )
    def fill_in(*_: int) -> list[Any]:
        return list(trial.EXAMPLES[names[ctx.triggered_id]].values())

    @app.callback(
        Output("answer", "children"),
        Input("score-form", "n_clicks"),
        Input("score-json", "n_clicks"),
        State("pasted", "value"),
        {name: State(f"try-{name}", "value") for name in trial.FIELDS},
        prevent_initial_call=True,
    )
    def score(_form: int, _json: int, pasted: str | None, form: Json) -> Any:
        body = (pasted or "") if ctx.triggered_id == "score-json" else trial.form_body(form)
        if hash := trial.hash_of(body):
            return trial.hash_view(hash, services.path_prefix)
        try:
            with services.metrics.callback_seconds.labels("score").time():
                return trial.answer_view(*services.api.score(body), body)
        except requests.RequestException:
            services.metrics.errors.labels("api").inc()
            return trial.unreachable_view()


def _register_model(app: Dash, services: Services) -> None:
    @app.callback(
        Output("page-model", "children"),
        Input("model-slow", "data"),
        Input("url", "pathname"),
        Input("client", "data"),
    )
    def show_model(_: int | None, path: str, client: Json | None) -> Any:
        if not path.rstrip("/").endswith("/model") or client is None:
            raise PreventUpdate
        snapshot, viewer = services.recent.snapshot, Viewer.from_client(client)
        with services.metrics.callback_seconds.labels("model").time():
            try:
                drift = services.trainer.drift()
            except requests.RequestException:
                drift = None
            model, problem, prefix = snapshot.model, snapshot.api_problem, services.path_prefix
            budgets = budget_panel(model or {}, snapshot.rows, viewer.theme, prefix)
            zone = ZoneInfo(viewer.zone)
            marks = snapshot.opinions.marks
            return model_view(model, problem, drift, budgets, services.mlflow_url, zone, marks)
