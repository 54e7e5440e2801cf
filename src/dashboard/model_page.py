"""The page of the model: what the API tells of the champion, whatever of it there is."""

from collections.abc import Mapping
from typing import Any

from dash import html

from dashboard.formats import share, words

Facts = Mapping[str, Any]


def model_view(model: Facts | None, problem: str | None, mlflow: str, zone: str) -> list[Any]:
    """The champion, its evaluation and its drift, or a sentence why there is nothing to show."""
    if model is None:
        return [html.Div([html.H2("Model"), html.P(problem or "Asking the API …")],
                         className="panel pad")]  # fmt: skip
    note = (
        [html.P(f"{problem} What it said last is shown.", className="problem")] if problem else []
    )
    link = html.A("Runs and versions in MLflow ↗", href=mlflow, target="_blank",
                  rel="noopener noreferrer")  # fmt: skip
    head = [html.H2("Champion"), *note, _facts(model, zone), html.P(link)]
    return [
        html.Div(
            [html.Div(head, className="panel pad"), *_evaluation(model), *_drift(model),
             *_features(model)],
            className="two",
        )
    ]  # fmt: skip


def _facts(model: Facts, zone: str) -> html.Dl:
    del zone
    shown = {
        "version": model.get("version") or model.get("model_version"),
        "alias": model.get("alias"),
        "trained": _time(model.get("trained_at")),
        "trained on": _rows(model),
        "threshold": _figure(model.get("threshold")),
        "budget": _share(model.get("budget")),
    }
    pairs = [(k, v) for k, v in shown.items() if v not in (None, "")]
    return html.Dl([item for k, v in pairs for item in (html.Dt(k), html.Dd(v))])


def _time(text: Any) -> str | None:
    return None if not text else f"{str(text)[:19].replace('T', ' ')} UTC"


def _rows(model: Facts) -> str | None:
    rows, origin = model.get("rows") or model.get("training_rows"), model.get("origin")
    return None if rows is None else f"{rows:,} {origin or ''} transactions".replace("  ", " ")


def _figure(value: Any) -> str | None:
    return f"{value:.4f}" if isinstance(value, int | float) else None


def _share(value: Any) -> str | None:
    return f"{share(value)} of traffic may be flagged" if isinstance(value, int | float) else None


def _evaluation(model: Facts) -> list[Any]:
    found = model.get("evaluation")
    if not isinstance(found, Mapping) or not found:
        return []
    kinds = found.get("by_kind") or found.get("kinds") or {}
    rows = [_bar(name, _recall(value)) for name, value in dict(kinds).items()]
    plain = {k: v for k, v in found.items() if isinstance(v, int | float | str)}
    facts = [item for k, v in plain.items() for item in (html.Dt(words(k)), html.Dd(_plain(v)))]
    body = [html.H2("Evaluation"), html.P("Share of injected anomalies found, by kind",
                                          className="note")]  # fmt: skip
    return [html.Div([*body, html.Ul(rows, className="bars"), html.Dl(facts)],
                     className="panel pad")]  # fmt: skip


def _recall(value: Any) -> float | None:
    if isinstance(value, Mapping):
        value = value.get("recall", value.get("found"))
    return float(value) if isinstance(value, int | float) else None


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _bar(name: str, part: float | None) -> html.Li:
    told = "–" if part is None else share(part)
    width = f"{min(max(part or 0, 0), 1) * 100:.0f}%"
    return html.Li(
        [html.Span(words(name)),
         html.Div(html.Div(className="fill", style={"width": width}), className="part"),
         html.Span(told, className="value")]
    )  # fmt: skip


def _drift(model: Facts) -> list[Any]:
    found = model.get("drift")
    if not isinstance(found, Mapping) or not found:
        return []
    rows = [_bar(name, _recall(value) if isinstance(value, Mapping) else value)
            for name, value in found.items() if isinstance(value, int | float)]  # fmt: skip
    said = "Population stability of each feature since training; above 0.25 is a shift"
    return [html.Div([html.H2("Drift"), html.P(said, className="note"),
                      html.Ul(rows, className="bars")], className="panel pad")]  # fmt: skip


def _features(model: Facts) -> list[Any]:
    found = model.get("features")
    if not isinstance(found, list) or not found:
        return []
    rows = [html.Li(str(f.get("words") or f.get("name")) + _formula(f)
                    if isinstance(f, Mapping) else words(str(f))) for f in found]  # fmt: skip
    return [html.Div([html.H2("Features"), html.Ul(rows)], className="panel pad")]


def _formula(feature: Facts) -> str:
    formula, unit = feature.get("formula"), feature.get("unit")
    return f": {formula}" + (f" ({unit})" if unit else "") if formula else ""
