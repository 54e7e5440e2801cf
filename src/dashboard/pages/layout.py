"""The page: three views behind one header. The callbacks fill it."""

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from core.detector.explanation import NOT_ILLICIT
from dashboard.activity.filter_inputs import axis_choice, filter_bar
from dashboard.activity.page_text import Readout, Tile
from dashboard.activity.pipeline_state import PartLine
from dashboard.activity.table import transaction_table
from dashboard.look.formats import attribute
from dashboard.pages.case_page import case_page
from dashboard.pages.inside_panel import kin_section
from dashboard.pages.marking import marking_section, mutes_page
from dashboard.pages.queue_page import queue_page
from dashboard.pages.trial import trial_page
from dashboard.pages.watch_page import watch_page
from dashboard.services import Services

GRAPH_CONFIG: Any = {
    "displayModeBar": False,
    "displaylogo": False,
    "responsive": True,
    "doubleClick": "reset",
}
EMPTY_FIGURE: dict[str, Any] = {
    "data": [],
    "layout": {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {"visible": False},
        "yaxis": {"visible": False},
    },
}
"""A transparent figure: without one Plotly draws a white plot."""

PAGES = (
    ("/", "Activity"),
    ("/queue", "Queue"),
    ("/try", "Try a transaction"),
    ("/watch", "Watch list"),
    ("/mutes", "Mutes"),
    ("/model", "Model"),
)

LINKED_PAGES = ("/case", "/address")
"""The pages of one case and of one address, which links lead to."""

ORIGIN_WORDS = {
    "live": "Bitcoin's transactions, as Blockchain.com shows them",
    "simulated": "The simulator's transactions: none of them exists",
}

TILES = (
    ("pipeline", "Pipeline"),
    ("rate", "Transactions"),
    ("flagged", "Anomalies"),
    ("fee", "Going fee rate"),
    ("volume", "Volume"),
    ("model", "Model"),
)

FIRST_FIGURES = (
    ("timeline", "Transactions and anomalies", "drag or click to zoom in", "wide"),
    ("scores", "Score distribution", "higher is more unusual", "narrow"),
)
"""Graph id, title, note and width of each figure above the table."""

OTHER_FIGURES = (
    ("market", "Going fee rate and the flagged", "what others pay; click for why", "wide"),
    ("patterns", "Anomalies by pattern", "one may have several; click to filter", "narrow"),
    ("scatter", "Fee rate against value", "drag to filter, click for why", "half"),
    ("fee_rates", "Fee rates", "percentiles over time", "half"),
    ("windows", "Ten-minute statistics", "all transactions, by the stream", "full"),
)
"""The figures below the table."""

FIGURE_NAMES = tuple(name for name, *_ in (*FIRST_FIGURES, *OTHER_FIGURES))


RENEWED = {
    "tick": ("activity", "queue", "case"),
    "slow": ("model", "mutes", "watch", "address", "panel"),
}
"""What is asked for again while it is read, by the interval that says when."""

STORES = (
    *("client", "shown", "written", "drawn", "table-rows", "mute-to-end"),
    *("queue-shown", "queue-acted", "queue-target", "case-shown", "case-acted"),
    *(f"{name}-{interval}" for interval, names in RENEWED.items() for name in names),
    *(f"{name}-figure" for name in FIGURE_NAMES),
)
"""What the browser keeps of this page, each empty at first."""


def page(services: Services) -> html.Div:
    """The whole page, empty; it asks for new data every `refresh_seconds`."""
    prefix, viewer = services.path_prefix, services.viewer_name()
    drawer_name = attribute("aria-label", "Why this transaction")
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            *(dcc.Store(id=name) for name in STORES),
            dcc.Store(id="written-opinion", data=0),
            dcc.Interval(id="tick", interval=int(services.refresh_seconds * 1000)),
            dcc.Interval(id="slow", interval=15_000),
            html.A("Skip to the transactions", href="#transactions", className="skip"),
            _header(prefix, services.origin),
            html.P(id="halted-reason", className="halted", role="alert", hidden=True),
            html.Div(
                id="notices", className="notices", role="status", **attribute("aria-live", "polite")
            ),
            html.Main(
                [
                    html.Section(
                        _activity(prefix, services.grafana_url),
                        id="page-activity",
                        className="activity",
                    ),
                    html.Section(queue_page(viewer, prefix), id="page-queue", hidden=True),
                    html.Section(case_page(viewer), id="page-case", hidden=True),
                    html.Section(trial_page(), id="page-try", hidden=True),
                    html.Section(mutes_page(), id="page-mutes", hidden=True),
                    html.Section(id="page-model", hidden=True),
                    html.Section(id="page-address", hidden=True),
                    html.Section(watch_page(services), id="page-watch", hidden=True),
                ]
            ),
            html.Aside(
                [html.Div(id="why"), kin_section(), marking_section()],
                id="drawer",
                className="closed",
                tabIndex=-1,
                **drawer_name,
            ),
            html.Div(id="toast", className="toast", role="status"),
        ],
        id="shell",
        className="shell",
    )


def _header(prefix: str, origin: str) -> html.Header:
    links = [
        dcc.Link(name, href=prefix + path[1:], id=f"nav-{path[1:] or 'activity'}")
        for path, name in PAGES
    ]
    icon = html.Img(src=f"{prefix}assets/icon.svg", alt="", width=26, height=26)
    theme = html.Button(
        "◐",
        id="theme",
        className="quiet icon",
        title="Light or dark",
        **attribute("aria-label", "Switch between light and dark"),
    )
    return html.Header(
        [
            html.A([icon, html.H1("Bitcoin Anomalies")], href=prefix, className="brand"),
            html.Span(origin, className="badge origin", title=ORIGIN_WORDS[origin]),
            html.Nav(links, **attribute("aria-label", "Pages")),
            html.Span(id="pill", className="pill waiting"),
            html.Span(id="halted", className="pill bad", hidden=True),
            html.Button(
                "Pause", id="pause", className="quiet pause", title="Stop updating the page"
            ),
            theme,
        ],
        className="top",
    )


def _activity(prefix: str, grafana_url: str | None) -> list[Any]:
    pipeline, *others = TILES
    tiles = [_tile(*pipeline, _parts(grafana_url)), *(_tile(*tile) for tile in others)]
    return [
        filter_bar(),
        html.Div(tiles, className="tiles"),
        html.Div([_panel(*figure) for figure in FIRST_FIGURES], className="charts"),
        transaction_table(prefix),
        html.Div([_panel(*figure) for figure in OTHER_FIGURES], className="charts"),
        html.Footer(NOT_ILLICIT),
    ]


def _tile(name: str, title: str, more: html.Details | None = None) -> html.Div:
    return html.Div(
        [
            html.H2(title),
            html.Div("–", id=f"{name}-number", className="number"),
            html.Div("", id=f"{name}-note", className="note"),
            more,
        ],
        className=f"tile panel {name}",
        id=f"tile-{name}",
    )


def _parts(grafana_url: str | None) -> html.Details:
    """What each part says of itself, and the way to Grafana where there is one."""
    link = html.A("Grafana", href=grafana_url, target="_blank") if grafana_url else None
    return html.Details(
        [html.Summary("parts"), html.Div([html.Dl(id="parts"), link], className="card")],
        className="parts",
    )


def part_rows(lines: Sequence[PartLine]) -> list[Any]:
    """Each part with what it says of itself."""
    return [
        item
        for line in lines
        for item in (
            html.Dt(line.part),
            html.Dd(line.words, className="silent" if line.silent else ""),
        )
    ]


def _panel(name: str, title: str, note: str, width: str) -> html.Div:
    graph = dcc.Graph(
        id=name, figure=EMPTY_FIGURE, config=GRAPH_CONFIG, className="graph", responsive=True
    )
    choice = [axis_choice()] if name == "scatter" else []
    words = [html.H2(title), html.Span(note, className="note"), *choice]
    head = html.Div(words, className="head")
    described = attribute("aria-labelledby", f"{name}-words")
    body = [
        html.Div(graph, role="img", **described),
        html.P("", id=f"{name}-words", className="unseen"),
        html.P("", id=f"{name}-empty", className="empty"),
    ]
    return html.Div([head, html.Div(body, className="body")], className=f"panel {width}")


def tile_number(tile: Tile) -> Any:
    """A tile's number with its unit, and with its text on hover."""
    if not tile.unit:
        return tile.number
    parts: list[Any] = [tile.number, html.Span(f" {tile.unit}", className="unit")]
    return html.Span(parts, title=tile.hover) if tile.hover else parts


def readout_text(readout: Readout | None) -> list[Any]:
    """The words beside the threshold's slider."""
    if readout is None:
        return ["no model yet"]
    return [
        f"{readout.lead} ",
        html.Strong(readout.flagged),
        f" of {readout.total}",
        f" · {readout.rest}" if readout.rest else "",
    ]
