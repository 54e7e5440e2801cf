"""What a reader says of transactions: the end of the panel, and the page of mutes.

The inputs stand outside of what is renewed, so that nobody loses what he is typing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dash import dcc, html

from core.mutes import LONGEST_MUTE, Mute
from core.transaction import COIN
from dashboard.activity.filters import Filters
from dashboard.activity.selection_bar import (
    MAX_AUTHOR,
    MAX_NOTE,
    mark_buttons,
    text_input,
    withdraw_button,
)
from dashboard.look.formats import attribute, btc, short_number, spaced, utc

BOUNDS = (
    ("fee-rate", "fee rate (sat/vB)"),
    ("value", "output value (BTC)"),
    ("outputs", "outputs"),
)
"""Id and label of each range of the form."""

USUAL_MUTE = timedelta(days=30)

MUTED_WORDS = (
    "A mute changes no verdict: what it matches is flagged, stored and counted as before. Until its"
    " end the webhook passes it over, and the table leaves it out until it is asked for."
)


def muted_link(words: str, filters: Filters, prefix: str) -> list[Any]:
    """The words of how many are muted, as a link that shows or hides them; empty without words."""
    if not words:
        return []
    texts = {name: text for name, text in filters.parameters.items() if name != "muted"}
    asked = Filters.from_parameters(texts | ({} if filters.muted else {"muted": "1"}))
    return [dcc.Link(words, href=asked.query or prefix, title="What a mute keeps from being news")]


def marking_section() -> html.Section:
    """The end of the panel: marks, a note, the reader's name, and a form that mutes."""
    marks = html.Div(
        [*mark_buttons("mark"), withdraw_button("mark")],
        className="mark-buttons",
        role="group",
        **attribute("aria-label", "Mark this transaction"),
    )
    said = [
        text_input("mark-note", "note", MAX_NOTE),
        text_input("author", "your name", MAX_AUTHOR),
    ]
    mute = html.Button("Mute …", id="mute-open", className="quiet", title="Mute this shape")
    return html.Section(
        [
            html.Div(id="mark-state"),
            html.Div([marks, mute], className="mark-row"),
            html.Div(said, className="said"),
            html.P(id="mark-answer", className="answer", role="status"),
            _mute_form(),
        ],
        id="marking",
        className="marking",
        **attribute("aria-label", "What you think of it"),
    )


def _mute_form() -> html.Div:
    date: Any = {"type": "date"}
    fields = [
        _field(
            "paid by", "mute-address", dcc.Dropdown([], id="mute-address", placeholder="anybody")
        ),
        _field("pattern", "mute-pattern", dcc.Dropdown([], id="mute-pattern", placeholder="any")),
        *(_range(name, label) for name, label in BOUNDS),
        _field("until the end of", "mute-until", dcc.Input(id="mute-until", **date)),
        _field("why", "mute-note", text_input("mute-note", "note", MAX_NOTE)),
    ]
    buttons = [
        html.Button("Mute", id="mute-save", className="primary"),
        html.Button("Cancel", id="mute-cancel", className="quiet"),
    ]
    return html.Div(
        [
            html.P(f"{MUTED_WORDS} All that is given must hold.", className="note"),
            html.Div(fields, className="mute-fields"),
            html.Div(buttons, className="mark-buttons"),
            html.P(id="mute-answer", className="answer", role="status"),
            html.P(id="mute-saved", className="problem", role="status"),
        ],
        id="mute-form",
        className="mute-form",
        hidden=True,
        role="group",
        **attribute("aria-label", "Mute this shape"),
    )


def _field(label: str, id: str, component: Any) -> html.Div:
    return html.Div([html.Label(label, htmlFor=id, className="caption"), component])


def _range(name: str, label: str) -> html.Div:
    sides = [
        dcc.Input(
            id=f"mute-{name}-{side}",
            type="number",
            min=0,
            step="any",
            placeholder=words,
            className="bound",
            name=f"{label} {words}",
        )
        for side, words in (("min", "least"), ("max", "most"))
    ]
    pair = html.Div([sides[0], html.Span("–"), sides[1]], className="pair")
    return _field(label, f"mute-{name}-min", pair)


def prefilled(row: Mapping[str, Any], payers: Sequence[str], now: datetime) -> dict[str, Any]:
    """What the form says at first of a transaction: who pays it, its shape, and ranges around it.

    By the id of each input, without its beginning `mute-`; `payers` are addresses.
    """
    patterns = list(row.get("patterns") or filter(None, [row.get("pattern")]))
    rate, value, outputs = row["fee_rate"], row["output_value"], row["outputs_count"]
    return {
        "address": payers[0] if payers else None,
        "pattern": patterns[0] if patterns else None,
        "fee-rate-min": _three_digits(rate / 2),
        "fee-rate-max": _three_digits(rate * 2),
        "value-min": _three_digits(value / 2 / COIN),
        "value-max": _three_digits(value * 2 / COIN),
        "outputs-min": outputs,
        "outputs-max": outputs,
        "until": f"{now + USUAL_MUTE:%Y-%m-%d}",
    }


def _three_digits(number: float) -> float:
    return float(f"{number:.3g}")


def mute_body(form: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """The body for the API; empty inputs are no bounds, and a date lasts until its end.

    Raises `ValueError` for a date that is none.
    """
    until = datetime.fromisoformat(str(form["until"])).replace(tzinfo=zone) + timedelta(days=1)
    values = (form["value-min"], form["value-max"])
    satoshi = [None if value is None else round(value * COIN) for value in values]
    body = {
        "address": form["address"],
        "pattern": form["pattern"],
        "fee_rate_min": form["fee-rate-min"],
        "fee_rate_max": form["fee-rate-max"],
        "output_value_min": satoshi[0],
        "output_value_max": satoshi[1],
        "outputs_count_min": form["outputs-min"],
        "outputs_count_max": form["outputs-max"],
        "until": until.isoformat(),
        "note": form["note"] or "",
    }
    return {name: value for name, value in body.items() if value is not None}


def mark_state(
    history: Sequence[Mapping[str, Any]], mute: Mute | None, zone: ZoneInfo
) -> list[Any]:
    """The present mark and those before it, and the mute that matches; `history` newest first."""
    parts: list[Any] = []
    if mute is not None:
        words = ["Muted by ", mute.author, f" until {_local(mute.end, zone)}", _noted(mute.note)]
        parts.append(html.P([html.Span("muted", className="badge"), " ", *words]))
    if history:
        parts.append(html.P(_said(history[0], zone), className="present"))
    if len(history) > 1:
        before = [html.Li(_said(row, zone)) for row in history[1:]]
        summary = html.Summary(f"{len(before)} before")
        parts.append(html.Details([summary, html.Ul(before)], className="history"))
    return parts


def _said(row: Mapping[str, Any], zone: ZoneInfo) -> list[Any]:
    mark = html.Span(spaced(row["mark"]), className="badge")
    at = row["marked_at"]
    time = html.Time(_local(at, zone), title=utc(at), dateTime=at.isoformat())
    return [mark, " by ", row["author"], " at ", time, _noted(row["note"])]


def _noted(note: str) -> str:
    return f": {note}" if note else ""


def _local(time: datetime, zone: ZoneInfo) -> str:
    return f"{time.astimezone(zone):%Y-%m-%d %H:%M}"


def mutes_page() -> html.Div:
    """The page of mutes, whose list is filled by a callback."""
    name = text_input("ending-author", "your name", MAX_AUTHOR)
    days = f"A mute lasts {LONGEST_MUTE.days} days at most, and is made beside a transaction."
    return html.Div(
        [
            html.H2("Mutes in force"),
            html.P(f"{MUTED_WORDS} {days}", className="note"),
            html.Div([html.Label("End them as", htmlFor="ending-author"), name], className="pair"),
            html.P(id="ending-answer", className="answer", role="status"),
            html.Div(id="mutes-list"),
        ],
        className="panel pad mutes",
    )


def mutes_list(mutes: Sequence[tuple[Mute, int]], hours: float, zone: ZoneInfo) -> Any:
    """The mutes in force, each with how many flags of the last hours it matches."""
    if not mutes:
        return html.P("Nothing is muted.", className="empty-words")
    head = ["what", f"flags of {hours:g} h", "until", "by", "why"]
    rows = [
        html.Tr(
            [
                html.Td(shape_words(mute)),
                html.Td(f"{count:,}", className="numeric"),
                html.Td(html.Time(_local(mute.end, zone), title=utc(mute.end))),
                html.Td(mute.author),
                html.Td(mute.note),
                html.Td(_end_button(mute)),
            ]
        )
        for mute, count in mutes
    ]
    table = [
        html.Thead(html.Tr([*(html.Th(name, scope="col") for name in head), html.Td()])),
        html.Tbody(rows),
    ]
    return html.Div(html.Table(table), className="list", tabIndex=0)


def _end_button(mute: Mute) -> html.Button:
    return html.Button(
        "End now",
        className="button",
        **attribute("data-end-mute", mute.id),
        **attribute("aria-label", f"End the mute of {shape_words(mute)}"),
    )


def shape_words(mute: Mute) -> str:
    """What a mute matches, in words.

    >>> now = datetime(2026, 1, 1)
    >>> shape_words(Mute("", "", "", now, now, pattern="zero_fee", outputs_count_min=3))
    'pattern zero fee, outputs ≥ 3'
    """
    words = []
    if mute.address is not None:
        words.append(f"paid by {mute.address}")
    if mute.pattern is not None:
        words.append(f"pattern {spaced(mute.pattern)}")
    shown: dict[str, Any] = {
        "fee_rate": ("fee rate", lambda rate: f"{short_number(rate)} sat/vB"),
        "output_value": ("output value", btc),
        "outputs_count": ("outputs", "{:,}".format),
    }
    for name, (least, most) in mute.bounds.items():
        label, format = shown[name]
        if least == most and least is not None:
            words.append(f"{label} {format(least)}")
            continue
        signs = {"≥": least, "≤": most}
        words += [f"{label} {sign} {format(b)}" for sign, b in signs.items() if b is not None]
    return ", ".join(words)
