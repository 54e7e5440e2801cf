"""The table of transactions: its columns in the browser, and the rows that it shows."""

from collections.abc import Mapping
from typing import Any

import dash_ag_grid
import numpy as np
from dash import html
from numpy.typing import NDArray

from dashboard.activity.filter_inputs import order_choice
from dashboard.activity.queries import FLAGGED_BY, TABLE_ROWS, Mask, flagger_codes, top
from dashboard.activity.selection_bar import selection_bar
from dashboard.lake.rows import Rows

Column = dict[str, Any]


def table_rows(
    rows: Rows,
    flagged: Mask,
    order: str,
    threshold: float | None = None,
    muted: Mask | None = None,
    mark_of: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The first rows of an order: money in satoshi, time in milliseconds; the browser formats.

    What is not known is None. `threshold` is the viewer's, by which the model flags. `muted` is for
    each row, and `mark_of` has the mark of those that people marked.
    """
    index = top(rows, order, TABLE_ROWS)
    rows = rows.take(index)
    times, market = rows.times_market(), rows["market_fee_rate"]
    hashes, marks = rows.hashes(), mark_of or {}
    columns = {
        "hash": hashes,
        "time": (rows["time"] // 1000).tolist(),
        "score": _known(rows["anomaly_score"].round(4), ~rows.unscored()),
        "flagged": flagged[index].tolist(),
        "flagged_by": [FLAGGED_BY[code] for code in flagger_codes(rows, threshold).tolist()],
        "mark": [marks.get(hash) for hash in hashes],
        "muted": (np.zeros(len(rows), bool) if muted is None else muted[index]).tolist(),
        "pattern": [", ".join(names) for names in rows.patterns()],
        "value": rows["output_value"].tolist(),
        "fee": rows["fee"].tolist(),
        "fee_rate": rows["fee_rate"].round(3).tolist(),
        "times": _known(times.round(4), np.isfinite(times)),
        "market": _known(market.round(2), np.isfinite(market)),
        "inputs": rows["inputs_count"].tolist(),
        "outputs": rows["outputs_count"].tolist(),
        "vsize": (rows["weight"] / 4).tolist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _known(values: NDArray[np.float64], known: Mask) -> list[float | None]:
    return [value if there else None for value, there in zip(values.tolist(), known, strict=True)]


def transaction_table(prefix: str) -> html.Section:
    """The table with its heading, the order and the export, whose address begins with `prefix`."""
    export = html.A(
        "CSV",
        id="export",
        href=f"{prefix}export.csv",
        className="button",
        title="All transactions that pass the filters",
    )
    note = html.Span(id="table-note", className="note")
    muted = html.Span(id="muted-note", className="muted-note")
    new = html.Button(id="show-new", className="button", hidden=True, title="Show them")
    head = html.Div(
        [html.H2("Transactions"), note, muted, new, order_choice(), export], className="head"
    )
    grid = dash_ag_grid.AgGrid(
        id="grid",
        columnDefs=COLUMNS,
        rowData=[],
        getRowId="params.data.hash",
        defaultColDef={"sortable": True, "resizable": True, "suppressHeaderMenuButton": True},
        dashGridOptions={
            "theme": {"function": "gridTheme(themeQuartz)"},
            "rowSelection": {
                "mode": "multiRow",
                "checkboxes": True,
                "headerCheckbox": True,
                "enableClickSelection": False,
            },
            "selectionColumnDef": {"width": 40, "minWidth": 40, "maxWidth": 40},
            "animateRows": False,
            "suppressColumnVirtualisation": True,  # a row without its cells is none to a reader
            "suppressCellFocus": False,
            "tabToNextCell": {"function": "leaveTable()"},
            "tabToNextHeader": {"function": "leaveTable()"},
            "rowHeight": 34,
            "headerHeight": 36,
            "localeText": {"noRowsToShow": "No transaction to list."},
        },
        rowClassRules={"anomalous": "params.data.flagged", "muted": "params.data.muted"},
        className="grid",
        style={"height": None},
    )
    return html.Section([head, selection_bar(), grid], id="transactions", className="panel table")


def _column(
    field: str, title: str, width: int, format: str = "", hover: str = ""
) -> dict[str, Any]:
    """A column; `format` and `hover` are functions of assets/dashAgGridFunctions.js."""
    column: Column = {"field": field, "headerName": title, "minWidth": width, "flex": width}
    if format:
        column["valueFormatter"] = {"function": format}
    if hover:
        column["tooltipValueGetter"] = {"function": hover}
    return column


def _number(field: str, title: str, width: int, format: str, hover: str) -> Column:
    column = _column(field, title, width, format, hover)
    return column | {"type": "rightAligned", "sortingOrder": ["desc", "asc", None]}


COLUMNS = [
    _column("card", "transaction", 300) | {"cellRenderer": "Card", "hide": True, "sortable": False},
    _column("score", "score", 76, "score(params.value)", "verdict(params.data)")
    | {"sortingOrder": ["desc", "asc", None]},
    _column("hash", "transaction", 164) | {"cellRenderer": "HashCell"},
    _column("time", "time", 122, "clock(params.value)", "utc(params.value)"),
    _column("flagged_by", "flagged by", 98, "flaggers(params.value)", "verdict(params.data)"),
    _column("mark", "mark", 90, "mark(params.data)", "mark(params.data)"),
    _column("pattern", "pattern", 150, "words(params.value)", "words(params.value)"),
    _number("value", "value (BTC)", 140, "btc(params.value)", "sat(params.value)"),
    _number("fee", "fee (BTC)", 112, "btc(params.value)", "sat(params.value)"),
    _number("fee_rate", "sat/vB", 80, "shortRate(params.value)", "rate(params.value) + ' sat/vB'"),
    _number("times", "× market", 84, "shortTimes(params.value)", "market(params.data)"),
    _number("vsize", "size (vB)", 92, "count(params.value)", "count(params.value) + ' vB'"),
    _number("inputs", "in", 62, "count(params.value)", "count(params.value) + ' inputs'"),
    _number("outputs", "out", 62, "count(params.value)", "count(params.value) + ' outputs'"),
]
"""A column's least width in pixels is also its share of the table's width; a phone has cards."""
