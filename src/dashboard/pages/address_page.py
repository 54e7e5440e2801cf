"""The page of one address: what this lake has seen of it, and who is beside it."""

import re
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from dash import dcc, html

from core.address_history import (
    AddressTransaction,
    address_type,
    canonical,
)
from core.counterparties import MOST_COUNTERPARTIES, MOST_FOR_COUNTERPARTIES, Counterparty
from core.detector.explanation import NOT_ILLICIT
from core.transaction import COIN, MAX_ADDRESS
from dashboard.activity.figures import range_of_bars
from dashboard.lake.address_reads import MOST_TRANSACTIONS, AddressView
from dashboard.look.formats import attribute, btc, duration, local_times, sat, short_time
from dashboard.look.theme import PALETTES, Theme, axis, layout
from dashboard.pages.inside_panel import address_link

PATH = "address/"
"""What begins the path of an address's page, after the dashboard's own path."""

TYPES = {
    "p2pkh": "P2PKH, pay to a public key's hash",
    "p2sh": "P2SH, pay to a script's hash",
    "p2wpkh": "P2WPKH, SegWit version 0 to a key",
    "p2wsh": "P2WSH, SegWit version 0 to a script",
    "p2tr": "P2TR, Taproot",
    "p2a": "P2A, an anchor that anyone spends",
    "p2pk": "P2PK, pay to a public key",
    "multisig": "bare multisig",
    "op_return": "OP_RETURN, data that nobody can spend",
    "witness_unknown": "a later SegWit version",
    "nonstandard": "a script of no standard type",
}
"""Types of scripts in words."""

_ADDRESS = re.compile(rf"[0-9A-Za-z]{{1,{MAX_ADDRESS}}}")
_HASH_DIGITS = re.compile(r"[0-9a-fA-F]*")
_GRAPH: Any = {"displayModeBar": False, "displaylogo": False, "responsive": True}


def address_of_path(path: str, prefix: str) -> str | None:
    """The address that a page's path names; None for another page, empty for no address.

    >>> address_of_path("/address/BC1QXY", "/"), address_of_path("/model", "/")
    ('bc1qxy', None)
    """
    if not path.startswith(f"{prefix}{PATH}"):
        return None
    name = path.removeprefix(f"{prefix}{PATH}").rstrip("/")
    return canonical(name) if _ADDRESS.fullmatch(name) else ""


def whole_address(text: Any) -> str | None:
    """The address in a search, if it is a whole one; digits of a hash are none.

    >>> whole_address(" 1BoatSLRHtKNngkdXEeobR76b53LETtpyT "), whole_address("1234567890abcdef")
    ('1BoatSLRHtKNngkdXEeobR76b53LETtpyT', None)
    """
    name = canonical(text.strip()) if isinstance(text, str) else ""
    if _HASH_DIGITS.fullmatch(name) or address_type(name) is None:
        return None
    return name


def unseen_view(address: str) -> list[Any]:
    """The page of what is no address, or was never seen."""
    sentence = (
        "This lake has not seen this address. It begins when it was started, and keeps the rows "
        "of some weeks: the chain may well know it."
        if address
        else "This is not an address."
    )
    return [_panel([html.H2("Address"), *_name(address), html.P(sentence)])]


def unreadable_view(address: str) -> list[Any]:
    """The page while the lake cannot be read."""
    sentence = "The lake cannot be read just now; this page fills itself when it can."
    return [_panel([html.H2("Address"), *_name(address), html.P(sentence)])]


def address_page(view: AddressView, prefix: str, zone: ZoneInfo, theme: Theme) -> list[Any]:
    """Head and sums, flow, transactions, and the addresses on both sides."""
    return [
        html.Div(
            [
                html.Div([_panel(_head(view, zone)), _panel(_flow(view, zone, theme))]),
                html.Div(
                    [
                        _panel(_beside("Paid by", "pays it", view.payers, view, prefix)),
                        _panel(_beside("Pays", "it pays", view.payees, view, prefix)),
                    ]
                ),
            ],
            className="two stacked",
        ),
        html.Div(
            _panel(_transactions(view, zone)),
            className="two stacked one",
        ),
        html.Footer(NOT_ILLICIT),
    ]


def _panel(children: list[Any]) -> html.Div:
    return html.Div(children, className="panel pad")


def _name(address: str) -> list[Any]:
    if not address:
        return []
    copied = attribute("data-copy", address)
    return [html.Button(address, className="hash copy", title="Copy the address", **copied)]


def _head(view: AddressView, zone: ZoneInfo) -> list[Any]:
    sums = view.sums
    kind = address_type(view.address)
    coverage: list[Any] = [
        "What this lake has seen since ",
        short_time(view.since, zone),
        ": not the whole chain.",
    ]
    flagged = (
        html.Span(f"{view.flagged:,}", className="badge hot") if view.flagged else html.Span("none")
    )
    change = sums.received - sums.spent
    terms: list[tuple[str, Any]] = [
        ("type", TYPES.get(kind or "", "not known")),
        ("first seen", short_time(sums.first_seen, zone)),
        ("last seen", short_time(sums.last_seen, zone)),
        ("transactions", f"{sums.transactions:,}"),
        ("flagged among them", flagged),
        ("received", _amount(sums.received)),
        ("spent", _amount(sums.spent)),
        ("balance change here", _amount(change, sign="+" if change > 0 else "")),
    ]
    items = [item for term, value in terms for item in (html.Dt(term), html.Dd(value))]
    return [
        html.H2("Address"),
        *_name(view.address),
        html.P(coverage, className="note"),
        html.Dl(items, className="sums"),
    ]


def _amount(satoshi: int, sign: str = "") -> html.Span:
    return html.Span(f"{sign}{btc(satoshi)}", title=f"{sign}{sat(satoshi)}")


def _flow(view: AddressView, zone: ZoneInfo, theme: Theme) -> list[Any]:
    graph = dcc.Graph(
        id="address-flow",
        figure=flow_figure(view, zone, theme),
        config=_GRAPH,
        className="graph",
        responsive=True,
    )
    words = f"bars of {duration(view.seconds)}, in BTC; a tick is a flag"
    named = f"Received and spent of this address over time, {words}"
    return [
        html.H2("Flow"),
        html.P(words, className="note"),
        html.Div(graph, className="curve", role="img", **attribute("aria-label", named)),
    ]


def flow_figure(view: AddressView, zone: ZoneInfo, theme: Theme) -> dict[str, Any]:
    """What was received above the line and spent below it, with a tick for each flag."""
    colours = PALETTES[theme]
    starts = [round(each.start.timestamp() * 1e6) for each in view.flow]
    shown = range_of_bars(starts, view.seconds * 1_000_000, zone) if starts else None
    bar = {"type": "bar", "x": local_times(starts, zone), "width": view.seconds * 860, "offset": 0}
    hover = "%{x|%b %d, %H:%M}<br>%{customdata}<extra></extra>"
    received = [each.received / COIN for each in view.flow]
    spent = [-each.spent / COIN for each in view.flow]
    ticks = local_times((round(flag.event_time.timestamp() * 1e6) for flag in view.flags), zone)
    top = max([*received, *(-each for each in spent)], default=0) * 1.12 or 1
    return {
        "data": [
            bar
            | {"y": received, "name": "received", "marker": {"color": colours["bar"]}}
            | {"customdata": [f"received {btc(each.received)}" for each in view.flow]}
            | {"hovertemplate": hover},
            bar
            | {"y": spent, "name": "spent", "marker": {"color": colours["muted"]}}
            | {"customdata": [f"spent {btc(each.spent)}" for each in view.flow]}
            | {"hovertemplate": hover},
            {
                "type": "scatter",
                "mode": "markers",
                "name": "flagged",
                "x": ticks,
                "y": [top] * len(ticks),
                "customdata": [flag.hash[:16] for flag in view.flags],
                "hovertemplate": "flagged: %{customdata}…<extra></extra>",
                "marker": {
                    "symbol": "line-ns",
                    "size": 9,
                    "line": {"width": 2, "color": colours["anomaly"]},
                },
            },
        ],
        "layout": layout(
            theme,
            view.address,
            barmode="overlay",
            showlegend=True,
            xaxis=axis(theme, type="date", showgrid=False, range=shown),
            yaxis=axis(theme, "BTC", fixedrange=True, nticks=5),
        ),
    }


def _transactions(view: AddressView, zone: ZoneInfo) -> list[Any]:
    shown = len(view.transactions)
    note = "the newest first; a hash opens its panel"
    if view.sums.transactions > shown:
        note = (
            f"the newest {MOST_TRANSACTIONS} of {view.sums.transactions:,}; a hash opens its panel"
        )
    rows = [_row(each, zone) for each in view.transactions]
    return [
        html.H2("Transactions"),
        html.P(note, className="note"),
        _table("Transactions of this address", ("seen", "hash", "received", "spent", "flag"), rows),
    ]


def _row(each: AddressTransaction, zone: ZoneInfo) -> html.Tr:
    flag: Any = {True: html.Span("flagged", className="badge hot"), None: "not scored yet"}.get(
        each.is_anomaly, "–"
    )
    name = html.A(html.Code(f"{each.hash[:10]}…{each.hash[-6:]}"), href=f"#{each.hash}")
    cells = [short_time(each.event_time, zone), name, _or_dash(each.received), _or_dash(each.spent)]
    return html.Tr([html.Td(cell) for cell in (*cells, flag)])


def _or_dash(satoshi: int) -> Any:
    return _amount(satoshi) if satoshi else "–"


def _beside(
    title: str, verb: str, others: Sequence[Counterparty], view: AddressView, prefix: str
) -> list[Any]:
    """The addresses of one side, and over how many of the transactions they are counted."""
    heading = html.H2(title)
    read, all_of_them = min(len(view.transactions), MOST_FOR_COUNTERPARTIES), view.sums.transactions
    counted = f"the newest {read} of {all_of_them:,} transactions"
    if read == all_of_them:
        counted = "all of its transactions"
    if not others:
        return [heading, html.P(f"No one that {verb} is kept, in {counted}.", className="note")]
    rows = [
        html.Tr(
            [
                html.Td(address_link(each.address, prefix)),
                html.Td(_amount(each.value)),
                html.Td(f"{each.transactions:,}"),
                html.Td(html.Span(f"{each.flagged:,}", className="badge hot"))
                if each.flagged
                else html.Td("–"),
            ]
        )
        for each in others
    ]
    shown = f"the largest {len(others)} of " if len(others) == MOST_COUNTERPARTIES else ""
    note = html.P(f"{shown}those in {counted}", className="note")
    return [heading, note, _table(title, ("address", "value", "transactions", "flagged"), rows)]


def _table(name: str, columns: Sequence[str], rows: list[html.Tr]) -> html.Div:
    head = html.Thead(html.Tr([html.Th(column, scope="col") for column in columns]))
    table = html.Table([head, html.Tbody(rows)], **attribute("aria-label", name))
    return html.Div(
        table,
        className="budgets listing",
        tabIndex=0,
        role="region",
        **attribute("aria-label", name),
    )
