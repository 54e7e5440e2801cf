"""The callbacks that run in the browser: functions of the scripts in `assets`."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State

from dashboard.pages.layout import FIGURE_NAMES, PAGES, RENEWED


def register_browser(app: Dash) -> None:
    """Bind what the browser does without the server."""
    clientside_callback: Any = app.clientside_callback

    def bind(function: str, *arguments: Any, namespace: str = "page", **options: Any) -> None:
        clientside_callback(ClientsideFunction(namespace, function), *arguments, **options)

    names = [path[1:] or "activity" for path, _ in PAGES]
    new = [Output("show-new", "children"), Output("show-new", "hidden")]
    shown = [Input("table-rows", "data"), Input("show-new", "n_clicks")]
    bind("rows", Output("grid", "rowData"), *new, *shown, namespace="table")
    bind("client", Output("client", "data"), Input("theme", "n_clicks"))
    bind(
        "show",
        [Output(f"page-{name}", "hidden") for name in (*names, "case")],
        [Output(f"nav-{name}", "className") for name in names],
        Input("url", "pathname"),
    )
    paused = [Output("tick", "disabled"), Output("pause", "children")]
    bind("pause", *paused, Input("pause", "n_clicks"), prevent_initial_call=True)
    for interval, renewed in RENEWED.items():
        bind(
            "renew",
            [Output(f"{name}-{interval}", "data") for name in renewed],
            Input(interval, "n_intervals"),
            State("url", "pathname"),
        )
    bind(
        "addresses",
        Output("export", "href"),
        [Output(f"nav-{name}", "href") for name in names],
        Input("url", "search"),
    )
    bind("follow", Output("drawer", "className"), Input("url", "hash"), namespace="panel")
    drawing = [Input("scatter", "selectedData"), Input("patterns", "clickData")]
    drawing += [Input("timeline", event) for event in ("selectedData", "clickData")]
    bind("drawn", Output("drawn", "data"), *drawing, prevent_initial_call=True)
    figures = [Input(f"{name}-figure", "data") for name in FIGURE_NAMES]
    bind("draw", *figures, prevent_initial_call=True)
    bind(
        "clickedTransaction",
        Output("url", "hash"),
        Input("scatter", "clickData"),
        Input("market", "clickData"),
        prevent_initial_call=True,
    )
