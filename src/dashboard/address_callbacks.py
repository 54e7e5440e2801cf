"""The callbacks of the address page, and of the relatives in a transaction's panel."""

from typing import Any
from zoneinfo import ZoneInfo

from dash import ClientsideFunction, Dash, Input, Output, State, ctx, no_update
from dash.exceptions import PreventUpdate

from dashboard.lake.address_reads import address_view, kin_of
from dashboard.lake.sources import LAKE_ERRORS
from dashboard.pages.address_page import (
    address_of_path,
    address_page,
    unreadable_view,
    unseen_view,
)
from dashboard.pages.inside_panel import kin_view
from dashboard.pages.transaction_panel import is_name, named_transaction
from dashboard.services import Services, Viewer

Json = dict[str, Any]


def register_address(app: Dash, services: Services) -> None:
    """Bind the callbacks of addresses and relatives to an app."""
    show: Any = app.clientside_callback
    show(
        ClientsideFunction("page", "showAddress"),
        Output("page-address", "hidden"),
        Input("url", "pathname"),
    )
    _register_page(app, services)
    _register_kin(app, services)


def _register_page(app: Dash, services: Services) -> None:
    @app.callback(
        Output("page-address", "children"),
        Input("url", "pathname"),
        Input("client", "data"),
        Input("address-slow", "data"),
        State("page-address", "children"),
    )
    def show_address(path: str, client: Json | None, _: int | None, shown: Any) -> Any:
        address = address_of_path(path or "", services.path_prefix)
        if address is None or client is None:
            raise PreventUpdate
        viewer = Viewer.from_client(client)
        if not address:
            return unseen_view("")
        with services.metrics.callback_seconds.labels("address").time():
            try:
                view = address_view(services.lake, address)
            except LAKE_ERRORS:
                services.lake.close()
                services.metrics.errors.labels("lake").inc()
                return (
                    no_update
                    if shown and ctx.triggered_id == "address-slow"
                    else unreadable_view(address)
                )
            if view is None:
                return unseen_view(address)
            zone = ZoneInfo(viewer.zone)
            return address_page(view, services.path_prefix, zone, viewer.theme)


def _register_kin(app: Dash, services: Services) -> None:
    @app.callback(
        Output("kin", "children"),
        Output("kin-section", "hidden"),
        Output("further-hop", "hidden"),
        Input("url", "hash"),
        Input("further-hop", "n_clicks"),
        Input("panel-slow", "data"),
        Input("client", "data"),
        State("kin", "children"),
    )
    def relate(
        fragment: str | None, _clicks: int, _ticks: int | None, client: Json | None, shown: Any
    ) -> Any:
        digits = (fragment or "").lstrip("#").lower()
        if client is None or not is_name(digits):
            return [], True, True
        hash, seen = named_transaction(digits, services.recent.snapshot.rows)
        if ctx.triggered_id == "panel-slow" and (shown or seen is None):
            raise PreventUpdate  # only what has just come is asked for again
        hops = 2 if ctx.triggered_id == "further-hop" else 1
        with services.metrics.callback_seconds.labels("kin").time():
            try:
                scored = services.lake.transaction(hash, seen) if seen else None
                appended = scored["append_time"] if scored else None
                kin = kin_of(services.lake, hash, appended, hops)
            except LAKE_ERRORS:
                services.lake.close()
                services.metrics.errors.labels("lake").inc()
                return [], True, True
            view = kin_view(kin, ZoneInfo(Viewer.from_client(client).zone))
            return view, not view, hops > 1
