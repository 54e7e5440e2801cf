"""The page where a transaction is typed or pasted and scored through the API."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from dash import dcc, html

from core.blockchain_json.describe import UnusableItemError, describe
from core.transaction import Transaction
from dashboard.look.formats import short_number, spaced
from dashboard.pages.verdict_panel import raw_fields, verdict_view, version_sentence

EXAMPLE: dict[str, Any] = {
    "hash": "example",
    "size": 250,
    "weight": 1000,
    "fee": 5000,
    "inputs_count": 2,
    "outputs_count": 2,
    "input_value": 1_000_000,
    "output_value": 995_000,
}
EXAMPLES: Mapping[str, dict[str, Any]] = {
    "an ordinary payment": EXAMPLE,
    "a fee of 0.5 BTC": EXAMPLE
    | {"fee": 50_000_000, "input_value": 150_000_000, "output_value": 100_000_000},
    "400 inputs into one": EXAMPLE
    | {"size": 59_244, "weight": 236_976, "inputs_count": 400, "outputs_count": 1}
    | {"fee": 592_440, "input_value": 10_000_000, "output_value": 9_407_560},
    "dust to 900": EXAMPLE
    | {"size": 30_758, "weight": 123_032, "inputs_count": 1, "outputs_count": 900}
    | {"fee": 307_580, "input_value": 798_980, "output_value": 491_400},
    "more out than in": EXAMPLE | {"input_value": 500_000},
}
"""Transactions to begin with, by their name on a button."""

OPTIONAL: Mapping[str, str] = {
    "market_fee_rate": "Going fee rate to judge it beside, in sat/vB; empty: the present one"
}
"""Fields that may stay empty, and what they mean."""

FIELDS = (*EXAMPLE, *OPTIONAL)
UNITS = {
    "size": "bytes",
    "weight": "weight units",
    "fee": "sat",
    "input_value": "sat",
    "output_value": "sat",
    "market_fee_rate": "sat/vB",
}
MARKETS = {
    "stream": "what the stream has measured",
    "caller": "as you gave it",
    "model": "that of the model's training, since no newer one is known",
    "none": "its own fee rate, since no market is known",
}
"""Where the market of an answer comes from, in words."""

MAX_ERRORS = 20
_HASH = re.compile(r"[0-9a-fA-F]{64}")


def trial_page() -> html.Div:
    """A form of the eight fields and the market, a box for JSON, and room for the answer."""
    pasted = dcc.Textarea(
        id="pasted",
        spellCheck=False,
        placeholder="Eight fields, or a transaction as Blockchain.com's API returns it",
    )
    form = html.Div(
        [
            html.H2("Score a transaction"),
            html.P("Nothing is stored: the API scores it and says why.", className="note"),
            html.Div(list(map(_example, EXAMPLES)), className="examples"),
            html.Div([_input(name) for name in FIELDS], className="form"),
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


def example_id(name: str) -> str:
    """The id of an example's button."""
    return f"example-{name.replace(' ', '-').replace('.', '-')}"


def _example(name: str) -> html.Button:
    return html.Button(name, id=example_id(name), className="quiet example")


def _input(name: str) -> html.Div:
    unit = UNITS.get(name)
    caption = name.replace("_", " ") + (f" ({unit})" if unit else "")
    kind: Literal["text", "number"] = "text" if name == "hash" else "number"
    optional = name in OPTIONAL
    box = dcc.Input(
        id=f"try-{name}",
        type=kind,
        value=EXAMPLE.get(name),
        step="any" if optional else None,
        placeholder="the present one" if optional else "",
        name=name,
        autoComplete="off",
    )
    label = html.Label(caption, htmlFor=f"try-{name}", className="caption")
    description = OPTIONAL.get(name) or Transaction.model_fields[name].description
    return html.Div([label, box], className="control", title=description)


def form_body(values: Mapping[str, Any]) -> str:
    """The form as JSON for the API; an empty field is left out, so that the API names it."""
    return json.dumps({k: v for k, v in values.items() if v not in (None, "")})


def answer_view(status: int, answer: Mapping[str, Any], body: str) -> list[Any]:
    """The API's verdict on the transaction in `body`, or why it refused it."""
    if status != 200:
        return refusal_view(status, answer)
    warnings = [html.Li(str(warning)) for warning in answer.get("warnings") or ()]
    return [
        html.H2("The verdict"),
        *([html.Ul(warnings, className="warnings")] if warnings else []),
        html.P(answer.get("explanation", "")),
        *_rules(answer.get("rules") or ()),
        *_market(answer),
        *verdict_view(answer),
        *_read_as(body),
        html.P(version_sentence(str(answer["model_version"])), className="note"),
    ]


def _read_as(body: str) -> list[Any]:
    """The transaction as it was read: its hash and its fields."""
    sent = json.loads(body)
    if not sent.keys() >= EXAMPLE.keys():
        try:
            described = describe(body.encode())
        except UnusableItemError:  # the API reads more forms of a number
            return []
        sent = {name: getattr(described, name) for name in EXAMPLE}
    return [
        html.H3("Transaction"),
        html.Code(str(sent["hash"]), className="hash"),
        raw_fields(sent),
    ]


def hash_of(pasted: str) -> str | None:
    """The hash, if nothing else was pasted."""
    return pasted.strip().lower() if _HASH.fullmatch(pasted.strip()) else None


def hash_view(hash: str, prefix: str) -> list[Any]:
    """Why a hash cannot be scored, and the way to the transaction that it names."""
    return [
        html.H2("Not scored"),
        html.P("This is a hash, not a transaction: its fields are needed to score it."),
        html.P(dcc.Link("Look for it among those that have arrived", href=f"{prefix}#{hash}")),
    ]


def _rules(names: Sequence[str]) -> list[Any]:
    words = ", ".join(map(spaced, names))
    return [html.P(f"By rule: {words}.", className="rules")] if names else []


def _market(answer: Mapping[str, Any]) -> list[Any]:
    """The going fee rate that it was judged beside, whose, and from when."""
    rate = answer.get("market_fee_rate")
    if rate is None:
        return []
    source, minute = answer.get("market_source"), answer.get("market_as_of")
    words = MARKETS.get(str(source), str(source or ""))
    since = _minute(minute) if minute else ""
    parts = ", ".join(part for part in (words, since) if part)
    return [html.P(f"Going fee rate {short_number(rate)} sat/vB: {parts}.", className="market")]


def _minute(text: Any) -> str:
    try:
        return f"as of {datetime.fromisoformat(str(text)).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return ""


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
