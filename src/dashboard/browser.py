"""What the browser answers by itself, bound to the functions of `assets/page.js`."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output

from dashboard.layout import PAGES


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
