"""The page: three views behind one header, filled by the callbacks."""

from typing import Any

import dash_ag_grid
from dash import dcc, html

from dashboard.controls import filter_bar, order_choice
from dashboard.formats import aria
from dashboard.trial import trial_page

GRAPH: Any = {
    "displayModeBar": False,
    "displaylogo": False,
    "responsive": True,
    "doubleClick": "reset",
}
LIVE: dict[str, Any] = {"aria-live": "polite"}
PAGES = (("/", "Activity"), ("/try", "Try a transaction"), ("/model", "Model"))

TILES = (
    ("pipeline", "Pipeline"),
    ("rate", "Transactions"),
    ("flagged", "Anomalies"),
    ("fee", "Median fee rate"),
    ("volume", "Volume"),
    ("model", "Model"),
)

FIGURES = (
    ("timeline", "Transactions and anomalies", "over time, in the range", "wide"),
    ("scores", "Score distribution", "higher is more unusual", "narrow"),
    ("scatter", "Fee rate against value", "drag to filter, click for why", "half"),
    ("fee_rates", "Fee rates", "percentiles over time", "third"),
    ("patterns", "Anomalies by pattern", "click to filter", "quarter"),
)


FIGURE_NAMES = (*(name for name, *_ in FIGURES), "windows")
"""Every figure by the id of its graph."""


def page(refresh_seconds: float) -> html.Div:
    """The whole page, empty; `refresh_seconds` is how often it asks for news."""
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="client"),
            dcc.Store(id="serial"),
            dcc.Store(id="figures"),
            dcc.Interval(id="tick", interval=int(refresh_seconds * 1000)),
            dcc.Interval(id="slow", interval=15_000),
            html.A("Skip to the transactions", href="#transactions", className="skip"),
            _header(),
            html.Div(id="notices", role="status", **LIVE),
            html.Main(
                [
                    html.Section(_activity(), id="page-activity"),
                    html.Section(trial_page(), id="page-try", hidden=True),
                    html.Section(id="page-model", hidden=True),
                ]
            ),
            html.Aside(
                html.Div(id="why"), id="drawer", className="closed",
                **aria("Why this transaction"),
            ),
            html.Div(id="said", className="toast", role="status"),
        ],
        id="shell",
    )  # fmt: skip


def _header() -> html.Header:
    links = [dcc.Link(name, href=path, id=f"nav-{path[1:] or 'activity'}") for path, name in PAGES]
    return html.Header(
        [
            html.A(
                [html.Img(src="/assets/icon.svg", alt="", width=26, height=26),
                 html.H1("Bitcoin Anomalies")],
                href="/", className="brand",
            ),
            html.Nav(links, **aria("Pages")),
            html.Span(id="pill", className="pill waiting"),
            html.Button("Pause", id="pause", className="quiet", title="Stop updating the page"),
            html.Button("◐", id="theme", className="quiet icon", title="Light or dark",
                        **aria("Switch between light and dark")),
        ],
        className="top",
    )  # fmt: skip


def _activity() -> list[Any]:
    return [
        filter_bar(),
        html.Div([_tile(*tile) for tile in TILES], className="tiles"),
        html.Div([_panel(*figure) for figure in FIGURES], className="charts"),
        _table(),
        html.Div(
            [_panel("windows", "Ten-minute statistics", "all transactions, by the stream", "full")],
            className="charts",
        ),
        html.Footer("Unusual is not illicit: it is rare among recent transactions, no more."),
    ]


def _tile(name: str, title: str) -> html.Div:
    return html.Div(
        [
            html.H2(title),
            html.Div("–", id=f"{name}-number", className="number"),
            html.Div("", id=f"{name}-note", className="note"),
        ],
        className="tile panel",
        id=f"tile-{name}",
    )


def _panel(name: str, title: str, note: str, width: str) -> html.Div:
    graph = dcc.Graph(id=name, config=GRAPH, className="graph", responsive=True)
    head = html.Div([html.H2(title), html.Span(note, className="note")], className="head")
    empty = html.P("", id=f"{name}-empty", className="empty")
    return html.Div([head, html.Div([graph, empty], className="body")], className=f"panel {width}")


def _table() -> html.Section:
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
