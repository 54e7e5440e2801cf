"""The form by which a person works on a case: note, seen, assign, close with a label, reopen.

It is on the case's page and, for the case that has the focus, in the queue. The API writes what is
sent; its refusals are shown as they are.
"""

from collections.abc import Mapping
from typing import Any

from dash import dcc, html

from core.case_rows import LABELS, Action
from dashboard.look.formats import attribute, refusal, spaced

WHERE = ("case", "queue")
"""The two places of the form; its ids begin with one."""

BUTTONS: dict[Action, str] = {
    "seen": "Seen",
    "note": "Add note",
    "closed": "Close",
    "reopened": "Reopen",
}
ASSIGNMENTS = {"mine": "Assign to me", "named": "Assign", "nobody": "To nobody"}
"""The buttons that say who works on it, by the rest of their id."""

LABEL_WORDS = {
    "useful": "useful: it was worth looking at",
    "not_useful": "not useful: a false alarm",
    "known": "known: rightly unusual, but no news",
    "other": "other",
}
MAX_NOTE, MAX_NAME = 2_000, 80


def case_form(where: str, viewer: str | None = None) -> list[Any]:
    """The form for one of the places; `viewer` is the name that a proxy gives, not to be typed."""
    groups = attribute("aria-labelledby", f"{where}-label-caption")
    options: Any = [{"label": LABEL_WORDS[label], "value": label} for label in LABELS]
    note = dcc.Input(
        id=f"{where}-note", type="text", maxLength=MAX_NOTE, placeholder="Why, in words", value=""
    )
    author = dcc.Input(
        id=f"{where}-author",
        type="text",
        maxLength=MAX_NAME,
        value=viewer or "",
        disabled=viewer is not None,
        debounce=True,  # half a name is nobody
    )
    fields = [_field("Note", note), _field("Your name", author)]
    label = html.Div(
        [
            html.Span("If you close it", id=f"{where}-label-caption", className="caption"),
            dcc.RadioItems(options, id=f"{where}-label", className="labels"),
        ],
        className="control",
        role="group",
        **groups,
    )
    buttons = [
        html.Button(
            word,
            id=f"{where}-do-{action}",
            n_clicks=0,
            className="primary" if action == "closed" else "",
        )
        for action, word in BUTTONS.items()
    ]
    named = attribute("data-viewer", viewer or "")
    title = html.H3("Work on this case", id=f"{where}-form-title", **named)
    answer = html.P("", id=f"{where}-answer", className="answer", role="status")
    actions = html.Div([*buttons, answer], className="actions")
    return [title, *fields, _assignment(where), label, actions]


def _field(caption: str, given: Any) -> html.Label:
    return html.Label([html.Span(caption, className="caption"), given], className="control")


def _assignment(where: str) -> html.Div:
    """Who works on the case: me, somebody who is named, or nobody."""
    name = dcc.Input(id=f"{where}-assignee", type="text", maxLength=MAX_NAME, value="")
    buttons = [
        html.Button(word, id=f"{where}-do-{how}", n_clicks=0) for how, word in ASSIGNMENTS.items()
    ]
    return html.Div(
        [_field("Who works on it", name), html.Div(buttons, className="actions")],
        id=f"{where}-do-assign",
        className="assignment",
    )


def event_body(
    action: Action, note: Any, label: Any, author: str | None, assignee: str | None = None
) -> dict[str, Any]:
    """What is sent to the API; a label only with a closing, an assignee only with `assigned`."""
    body = {
        "action": action,
        "note": str(note or "").strip() or None,
        "author": author,
        "label": label if action == "closed" and label in LABELS else None,
    }
    given = {name: value for name, value in body.items() if value is not None}
    return given | ({"assignee": assignee} if action == "assigned" else {})


def answer_words(status: int, answer: Mapping[str, Any]) -> str:
    """What became of it, as a sentence."""
    if status == 201:
        event = answer.get("event", {})
        label = f" as {spaced(str(event['label']))}" if event.get("label") else ""
        done = {
            "note": "The note is kept",
            "closed": f"Closed{label}",
            "seen": "Marked as seen",
            "assigned": f"Assigned to {event.get('assignee') or 'nobody'}",
        }
        return f"{done.get(str(event.get('action')), 'Done')}."
    return refusal(status, answer)
