"""The bar above the table that marks the rows which a reader has selected."""

from typing import Any

from dash import dcc, html

from core.marks import MARKS, WITHDRAWN
from dashboard.look.formats import attribute, spaced

MARK_HINTS = {
    "useful": "Worth the look",
    "not_useful": "A false alarm",
    "known": "Rightly unusual, but no news",
    WITHDRAWN: "Take the mark back",
}
"""What each mark means, on hover."""

MAX_NOTE, MAX_AUTHOR = 500, 80


def mark_buttons(prefix: str) -> list[html.Button]:
    """A button for each mark; their ids begin with `prefix`."""
    return [
        html.Button(spaced(mark), id=f"{prefix}-{mark}", className="button", title=MARK_HINTS[mark])
        for mark in MARKS
    ]


def withdraw_button(prefix: str) -> html.Button:
    """The button that takes marks back."""
    hint = MARK_HINTS[WITHDRAWN]
    return html.Button("withdraw", id=f"{prefix}-{WITHDRAWN}", className="quiet", title=hint)


def text_input(id: str, name: str, most: int) -> dcc.Input:
    """A line of text, whose name is its placeholder."""
    options: Any = {"type": "text", "maxLength": most, "autoComplete": "off", "debounce": True}
    return dcc.Input(id=id, name=name, placeholder=name, **options)


def selection_bar() -> html.Div:
    """The bar; it is hidden while nothing is selected."""
    parts = [
        html.Strong(id="selection-count"),
        html.Span([*mark_buttons("select"), withdraw_button("select")], className="mark-buttons"),
        text_input("select-note", "note", MAX_NOTE),
        text_input("select-author", "your name", MAX_AUTHOR),
    ]
    bar = html.Div(
        parts,
        id="selection",
        hidden=True,
        className="selection",
        role="group",
        **attribute("aria-label", "Selected transactions"),
    )
    return html.Div([bar, html.P(id="selection-answer", className="answer", role="status")])
