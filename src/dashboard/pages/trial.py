"""The page where a transaction is typed or pasted and scored through the API."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from dash import dcc, html

from core.transaction import Transaction
from dashboard.pages.verdict_panel import raw_fields, verdict_view

EXAMPLE: Mapping[str, Any] = {
    "hash": "example",
    "size": 250,
    "weight": 1000,
    "fee": 5000,
    "inputs_count": 2,
    "outputs_count": 2,
    "input_value": 1_000_000,
    "output_value": 995_000,
}
UNITS = {
    "size": "bytes",
    "weight": "weight units",
    "fee": "sat",
    "input_value": "sat",
    "output_value": "sat",
}


def trial_page() -> html.Div:
    """A form of the eight fields, a box for JSON, and room for the answer."""
    form = html.Div(
        [
            html.H2("Score a transaction"),
            html.P("Nothing is stored: the API scores it and says why.", className="note"),
            html.Div([_input(name) for name in EXAMPLE], className="form"),
            html.Button("Score these fields", id="score-form", className="button primary"),
            html.H3("or paste JSON"),
            dcc.Textarea(
                id="pasted", spellCheck=False,
                placeholder="Eight fields, or a transaction as Blockchain.com's API returns it",
            ),
            html.Button("Score this JSON", id="score-json", className="button"),
        ],
        className="panel pad",
    )  # fmt: skip
    answer = html.Div(
        html.P("The explanation appears here.", className="empty-words"),
        id="answer", className="panel pad", role="status",
    )  # fmt: skip
    return html.Div([form, answer], className="two")


def _input(name: str) -> html.Div:
    unit = UNITS.get(name)
    caption = name.replace("_", " ") + (f" ({unit})" if unit else "")
    kind: Literal["text", "number"] = "text" if name == "hash" else "number"
    box = dcc.Input(id=f"try-{name}", type=kind, value=EXAMPLE[name], name=name, autoComplete="off")
    described = Transaction.model_fields[name].description
    return html.Div(
        [html.Label(caption, htmlFor=f"try-{name}", className="caption"), box],
        className="control", title=described,
    )  # fmt: skip


def form_body(values: Mapping[str, Any]) -> str:
    """The form as the API's JSON; an empty field is left out, so that the API names it."""
    return json.dumps({k: v for k, v in values.items() if v not in (None, "")})


def answer_view(status: int, answer: Mapping[str, Any], sent: str) -> list[Any]:
    """The API's answer: its verdict, or its own error told kindly."""
    if status != 200:
        return refusal(status, answer)
    warnings = [html.Li(str(warning)) for warning in answer.get("warnings") or ()]
    head = [html.H2("What the model says"), html.P(answer.get("explanation", ""))]
    if warnings:
        head.append(html.Ul(warnings, className="warnings"))
    return [*head, *verdict_view(answer), *_fields(sent),
            html.P(f"Model version {answer['model_version']}.", className="note")]  # fmt: skip


def _fields(sent: str) -> list[Any]:
    body = json.loads(sent)
    return [html.H3("Transaction"), raw_fields(body)] if body.keys() >= EXAMPLE.keys() else []


def refusal(status: int, answer: Mapping[str, Any]) -> list[Any]:
    """A problem of RFC 9457 in words, field by field."""
    title = str(answer.get("title") or f"The API answered {status}")
    found: list[Any] = [html.H2("Not scored"), html.P(title, className="problem")]
    if answer.get("detail") and answer["detail"] != title:
        found.append(html.P(str(answer["detail"])))
    errors = answer.get("errors")
    if isinstance(errors, list):
        found.append(html.Ul([html.Li(_error(error)) for error in errors[:20]]))
    return found


def _error(error: Any) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    field = error.get("field") or ".".join(str(part) for part in error.get("loc", ()))
    said = error.get("message") or error.get("reason") or error.get("detail") or error.get("msg")
    return f"{field}: {said}" if field else str(said)


def unreachable() -> list[Any]:
    """What is said while the API is down."""
    return [
        html.H2("Not scored"),
        html.P("The API does not answer just now. Try again in a moment.", className="problem"),
    ]
