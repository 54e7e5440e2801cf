"""The page: three views behind one header, filled by the callbacks."""

from typing import Any

from dash import dcc, html

from dashboard.activity.filter_inputs import filter_bar
from dashboard.activity.table import transaction_table
from dashboard.look.formats import aria
from dashboard.pages.trial import trial_page

GRAPH: Any = {
    "displayModeBar": False,
    "displaylogo": False,
    "responsive": True,
    "doubleClick": "reset",
}
BLANK: dict[str, Any] = {
    "data": [],
    "layout": {
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {"visible": False}, "yaxis": {"visible": False},
    },
}  # fmt: skip
"""A figure that shows nothing; without one an empty white plot stands in its place."""
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
            html.Div(id="notices", className="notices", role="status", **LIVE),
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
        className="shell",
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
        transaction_table(),
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
        className=f"tile panel {name}",
        id=f"tile-{name}",
    )


def _panel(name: str, title: str, note: str, width: str) -> html.Div:
    graph = dcc.Graph(id=name, figure=BLANK, config=GRAPH, className="graph", responsive=True)
    head = html.Div([html.H2(title), html.Span(note, className="note")], className="head")
    empty = html.P("", id=f"{name}-empty", className="empty")
    return html.Div([head, html.Div([graph, empty], className="body")], className=f"panel {width}")
