"""The table of transactions: its columns, and how the browser formats each."""

from typing import Any

import dash_ag_grid
from dash import html

from dashboard.activity.filter_inputs import order_choice


def transaction_table() -> html.Section:
    """The table with its heading, the order and the export."""
    head = html.Div(
        [
            html.H2("Transactions"),
            html.Span(id="table-note", className="note"),
            order_choice(),
            html.A("CSV", id="export", href="/export.csv", className="button",
                   title="All transactions that pass the filters"),
        ],
        className="head",
    )  # fmt: skip
    grid = dash_ag_grid.AgGrid(
        id="grid",
        columnDefs=COLUMNS,
        rowData=[],
        getRowId="params.data.hash",
        defaultColDef={"sortable": True, "resizable": True, "suppressHeaderMenuButton": True},
        dashGridOptions={
            "theme": {"function": "gridTheme(themeQuartz)"},
            "rowSelection": {
                "mode": "singleRow",
                "checkboxes": False,
                "enableClickSelection": True,
            },
            "animateRows": False,
            "suppressCellFocus": False,
            "rowHeight": 34,
            "headerHeight": 36,
            "localeText": {"noRowsToShow": "No transaction passes the filters."},
        },
        rowClassRules={"anomalous": "params.data.flagged"},
        className="grid",
        style={"height": None},
    )
    return html.Section([head, grid], id="transactions", className="panel table")


def _column(field: str, title: str, width: int, **more: Any) -> dict[str, Any]:
    return {"field": field, "headerName": title, "minWidth": width, "flex": width, **more}


def _number(field: str, title: str, width: int, shown: str, hover: str) -> dict[str, Any]:
    return _column(
        field,
        title,
        width,
        type="rightAligned",
        sortingOrder=["desc", "asc", None],
        valueFormatter={"function": shown},
        tooltipValueGetter={"function": hover},
    )


COLUMNS = [
    _column(
        "score",
        "score",
        76,
        sortingOrder=["desc", "asc", None],
        valueFormatter={"function": "score(params.value)"},
        tooltipValueGetter={"function": "verdict(params.data)"},
    ),
    _column("hash", "transaction", 190, cellRenderer="HashCell"),
    _column(
        "time",
        "time",
        124,
        valueFormatter={"function": "clock(params.value)"},
        tooltipValueGetter={"function": "utc(params.value)"},
    ),
    _column("pattern", "pattern", 130, valueFormatter={"function": "words(params.value)"}),
    _number("value", "value (BTC)", 136, "btc(params.value)", "sat(params.value)"),
    _number("fee", "fee (BTC)", 108, "btc(params.value)", "sat(params.value)"),
    _number("fee_rate", "sat/vB", 88, "rate(params.value)", "rate(params.value) + ' sat/vB'"),
    _number("vsize", "size (vB)", 92, "count(params.value)", "count(params.value) + ' vB'"),
    _number("inputs", "in", 62, "count(params.value)", "count(params.value) + ' inputs'"),
    _number("outputs", "out", 62, "count(params.value)", "count(params.value) + ' outputs'"),
]
"""The table; a column's least width in pixels is also its share of what room there is."""
