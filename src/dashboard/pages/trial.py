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
MAX_ERRORS = 20


def trial_page() -> html.Div:
    """A form of the eight fields, a box for JSON, and room for the answer."""
    pasted = dcc.Textarea(
        id="pasted",
        spellCheck=False,
        placeholder="Eight fields, or a transaction as Blockchain.com's API returns it",
    )
    form = html.Div(
        [
            html.H2("Score a transaction"),
            html.P("Nothing is stored: the API scores it and says why.", className="note"),
            html.Div([_input(name) for name in EXAMPLE], className="form"),
            html.Button("Score these fields", id="score-form", className="button primary"),
            html.H3("or paste JSON"),
            pasted,
            html.Button("Score this JSON", id="score-json", className="button"),
        ],
        className="panel pad",
    )
    hint = html.P("The explanation appears here.", className="empty-words")
    answer = html.Div(hint, id="answer", className="panel pad", role="status")
    return html.Div([form, answer], className="two")


def _input(name: str) -> html.Div:
    unit = UNITS.get(name)
    caption = name.replace("_", " ") + (f" ({unit})" if unit else "")
    kind: Literal["text", "number"] = "text" if name == "hash" else "number"
    box = dcc.Input(id=f"try-{name}", type=kind, value=EXAMPLE[name], name=name, autoComplete="off")
    label = html.Label(caption, htmlFor=f"try-{name}", className="caption")
    description = Transaction.model_fields[name].description
    return html.Div([label, box], className="control", title=description)


def form_body(values: Mapping[str, Any]) -> str:
    """The form as JSON for the API; an empty field is left out, so that the API names it."""
    return json.dumps({k: v for k, v in values.items() if v not in (None, "")})


def answer_view(status: int, answer: Mapping[str, Any], body: str) -> list[Any]:
    """The API's verdict on the transaction in `body`, or why it refused it."""
    if status != 200:
        return refusal_view(status, answer)
    warnings = [html.Li(str(warning)) for warning in answer.get("warnings") or ()]
    sent = json.loads(body)
    complete = sent.keys() >= EXAMPLE.keys()
    return [
        html.H2("What the model says"),
        html.P(answer.get("explanation", "")),
        *([html.Ul(warnings, className="warnings")] if warnings else []),
        *verdict_view(answer),
        *([html.H3("Transaction"), raw_fields(sent)] if complete else []),
        html.P(f"Model version {answer['model_version']}.", className="note"),
    ]


def refusal_view(status: int, problem: Mapping[str, Any]) -> list[Any]:
    """A problem document (RFC 9457) in words, field by field."""
    title = str(problem.get("title") or f"The API answered {status}")
    view: list[Any] = [html.H2("Not scored"), html.P(title, className="problem")]
    if problem.get("detail") and problem["detail"] != title:
        view.append(html.P(str(problem["detail"])))
    errors = problem.get("errors")
    if isinstance(errors, list):
        view.append(html.Ul([html.Li(_error(error)) for error in errors[:MAX_ERRORS]]))
    return view


def _error(error: Any) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    field = error.get("field") or ".".join(str(part) for part in error.get("loc", ()))
    keys = ("message", "reason", "detail", "msg")
    message = next((error[key] for key in keys if error.get(key)), None)
    return f"{field}: {message}" if field else str(message)


def unreachable_view() -> list[Any]:
    """The answer's place while the API is down."""
    return [
        html.H2("Not scored"),
        html.P("The API does not answer just now. Try again in a moment.", className="problem"),
    ]
