"""The page of the model: what the API tells of the champion, whatever of it there is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dash import html

from dashboard.look.formats import share, utc, words
from dashboard.pages.verdict_panel import feature_words

Facts = Mapping[str, Any]

SHIFT = 0.25
"""A population stability index from which on a distribution has moved a lot (Siddiqi, 2006)."""

SUMMARIES = {
    "flag_rate": "of ordinary traffic flagged",
    "recall_choosing_kinds": "found of the kinds that settled the choice",
    "recall_held_out_kinds": "found of the kinds held out of it",
}


def model_view(
    model: Facts | None, problem: str | None, drift: Facts | None, mlflow: str, zone: ZoneInfo
) -> list[Any]:
    """The champion, its evaluation and the drift since, or a sentence why there is nothing.

    `drift` is None while the trainer does not answer.
    """
    if model is None:
        said = problem or "Asking the API …"
        return [html.Div([html.H2("Model"), html.P(said)], className="panel pad")]
    note = (
        [html.P(f"{problem} What it said last is shown.", className="problem")] if problem else []
    )
    where: dict[str, Any] = {"href": mlflow, "target": "_blank", "rel": "noopener noreferrer"}
    link = html.A("Runs and versions in MLflow ↗", **where, className="button")
    head = [html.H2("Champion"), *note, _facts(model, zone), html.P(link, className="link")]
    left = [_panel(head), _panel(_drift(drift))]
    right = [_panel(_evaluation(model)), _panel(_features(model))]
    return [html.Div([html.Div(left), html.Div(right)], className="two stacked")]


def _panel(children: list[Any]) -> html.Div:
    return html.Div(children, className="panel pad")


def _facts(model: Facts, zone: ZoneInfo) -> html.Dl:
    shown = {
        "registered model": model.get("name"),
        "version": model.get("version"),
        "alias": model.get("alias"),
        "trained": _time(model.get("trained_at"), zone),
        "threshold set on": _rows(model),
        "threshold": _score(model.get("threshold")),
        "budget": _budget(model.get("budget")),
    }
    pairs = [(name, told) for name, told in shown.items() if told not in (None, "")]
    return html.Dl([item for name, told in pairs for item in (html.Dt(name), html.Dd(told))])


def _time(text: Any, zone: ZoneInfo) -> Any:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return html.Time(f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}", title=utc(at))


def _rows(model: Facts) -> str | None:
    rows = model.get("rows")
    return None if rows is None else f"{rows:,} {model.get('origin', '')} transactions"


def _score(value: Any) -> str | None:
    return f"{value:.4f}" if isinstance(value, int | float) else None


def _budget(value: Any) -> str | None:
    return f"{share(value)} of traffic may be flagged" if isinstance(value, int | float) else None


def _evaluation(model: Facts) -> list[Any]:
    found = (model.get("facts") or {}).get("evaluation") or {}
    head = [html.H2("Evaluation")]
    kinds = {
        name.removeprefix("recall_"): told
        for name, told in found.items()
        if name.startswith("recall_") and name not in SUMMARIES
    }
    if not kinds:
        return [*head, html.P("This version carries no evaluation.", className="note")]
    facts = [
        item
        for name, said in SUMMARIES.items()
        if name in found
        for item in (html.Dt(said), html.Dd(share(found[name])))
    ]
    said = "Share of the injected anomalies that it flags, by kind, on the newest traffic"
    bars = [bar(words(kind), told, share(told)) for kind, told in sorted(kinds.items())]
    return [*head, html.P(said, className="note"), html.Ul(bars, className="bars"), html.Dl(facts)]


def _drift(drift: Facts | None) -> list[Any]:
    head = html.H2("Drift since training")
    if drift is None:
        return [head, html.P("The trainer, which measures it, does not answer.")]
    if not drift:
        return [head, html.P("The trainer has not measured it yet.", className="note")]
    said = f"Population stability index by feature; from {SHIFT} on traffic has moved a lot"
    bars = [
        bar(feature_words(name), told / (2 * SHIFT), f"{told:.3f}", told >= SHIFT)
        for name, told in sorted(drift.items(), key=lambda item: -item[1])
    ]
    return [head, html.P(said, className="note"), html.Ul(bars, className="bars limit")]


def bar(name: str, part: float, told: str, hot: bool = False) -> html.Li:
    """A named bar of a part in 0..1, and its value in words."""
    width = f"{min(max(part, 0), 1) * 100:.0f}%"
    fill = html.Div(className="fill hot" if hot else "fill", style={"width": width})
    return html.Li(
        [html.Span(name), html.Div(fill, className="part"), html.Span(told, className="value")]
    )


def _features(model: Facts) -> list[Any]:
    rows = [
        item
        for feature in model.get("features") or ()
        for item in (
            html.Dt(feature["words"], title=feature.get("source")),
            html.Dd([html.Code(feature["formula"]), f" {feature['unit']}"]),
        )
    ]
    return [html.H2("Features"), html.Dl(rows)]
