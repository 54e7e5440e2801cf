"""The form by which a person works on a case: note, seen, close with a label, reopen.

It is on the case's page and, for the case that has the focus, in the queue. The API writes what is
sent; its refusals are shown as they are.
"""

from collections.abc import Mapping
from typing import Any

from dash import dcc, html

from core.case_rows import LABELS, Action
from dashboard.look.formats import attribute, spaced

WHERE = ("case", "queue")
"""The two places of the form; its ids begin with one."""

BUTTONS: dict[Action, str] = {
    "seen": "Seen",
    "note": "Add note",
    "closed": "Close",
    "reopened": "Reopen",
}
LABEL_WORDS = {
    "useful": "useful: it was worth looking at",
    "not_useful": "not useful: a false alarm",
    "known": "known: rightly unusual, but no news",
    "other": "other",
}
MAX_NOTE, MAX_NAME = 2_000, 80


def case_form(where: str) -> list[Any]:
    """The form for one of the places."""
    groups = attribute("aria-labelledby", f"{where}-label-caption")
    options: Any = [{"label": LABEL_WORDS[label], "value": label} for label in LABELS]
    texts = {"note": ("Note", MAX_NOTE, "Why, in words"), "author": ("Your name", MAX_NAME, "")}
    fields = [
        html.Label(
            [
                html.Span(caption, className="caption"),
                dcc.Input(
                    id=f"{where}-{name}", type="text", maxLength=most, placeholder=hint, value=""
                ),
            ],
            className=f"control {name}",
        )
        for name, (caption, most, hint) in texts.items()
    ]
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
    title = html.H3("Work on this case", id=f"{where}-form-title")
    answer = html.P("", id=f"{where}-answer", className="answer", role="status")
    return [title, *fields, label, html.Div([*buttons, answer], className="actions")]


def event_body(action: Action, note: Any, label: Any, author: Any) -> dict[str, Any]:
    """What is sent to the API; a label only with a closing."""
    body = {
        "action": action,
        "note": str(note or "").strip() or None,
        "author": str(author or "").strip() or None,
        "label": label if action == "closed" and label in LABELS else None,
    }
    return {name: value for name, value in body.items() if value is not None}


def answer_words(status: int, answer: Mapping[str, Any]) -> str:
    """What became of it, as a sentence."""
    if status == 201:
        event = answer.get("event", {})
        label = f" as {spaced(str(event['label']))}" if event.get("label") else ""
        done = {"note": "The note is kept", "closed": f"Closed{label}", "seen": "Marked as seen"}
        return f"{done.get(str(event.get('action')), 'Done')}."
    return str(answer.get("detail") or f"The API has refused it (status {status}).")
