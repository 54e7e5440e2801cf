"""The page of the model: what the API says about the champion, as far as it says it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dash import html

from core.marks import MarkRow
from dashboard.look.formats import share, short_number, spaced, utc
from dashboard.pages.precision_panel import precision_panel
from dashboard.pages.verdict_panel import feature_words

Facts = Mapping[str, Any]

LARGE_SHIFT = 0.25
"""A population stability index of a distribution that has moved a lot (Siddiqi, 2006)."""

SUMMARIES = {
    "flag_rate": "of ordinary traffic flagged",
    "recall_choosing_kinds": "found of the kinds that settled the choice",
    "recall_held_out_kinds": "found of the kinds held out of it",
}

_REAL = "real_flagged_"
"""What begins the name of a figure about a group of real transactions."""


def model_view(
    model: Facts | None,
    problem: str | None,
    drift: Facts | None,
    budgets: list[Any] | None,
    mlflow_url: str,
    zone: ZoneInfo,
    marks: Sequence[MarkRow] = (),
) -> list[Any]:
    """The champion, its evaluation and the drift since, or a sentence why there is no model.

    `drift` is None while the trainer does not answer, and `budgets`, the panel of other thresholds,
    where the version tells of none. `marks` are what people marked.
    """
    if model is None:
        sentence = problem or "Asking the API …"
        return [_panel([html.H2("Model"), html.P(sentence)])]
    notes = []
    if problem:
        notes = [html.P(f"{problem} What it said last is shown.", className="problem")]
    link = html.A(
        "Runs and versions in MLflow ↗",
        href=mlflow_url,
        target="_blank",
        rel="noopener noreferrer",
        className="button",
    )
    facts = _definitions(_champion(model, zone).items())
    champion = [html.H2("Champion"), *notes, facts, html.P(link, className="link")]
    left = [_panel(champion), _panel(precision_panel(marks)), _panel(_drift(drift))]
    left += map(_panel, _real_transactions(model))
    right = [
        *([_panel(budgets)] if budgets else []),
        _panel(_evaluation(model)),
        _panel(_features(model)),
        _panel(_rules(model)),
    ]
    return [html.Div([html.Div(left), html.Div(right)], className="two stacked")]


def _panel(children: list[Any]) -> html.Div:
    return html.Div(children, className="panel pad")


def _definitions(pairs: Iterable[tuple[str, Any]]) -> html.Dl:
    return html.Dl([item for term, value in pairs for item in (html.Dt(term), html.Dd(value))])


def _champion(model: Facts, zone: ZoneInfo) -> dict[str, Any]:
    """Terms and values of the champion; what the API does not say is left out."""
    rows, threshold, budget = model.get("rows"), model.get("threshold"), model.get("budget")
    transactions = f"{rows:,} {model.get('origin', '')} transactions" if rows is not None else None
    values = {
        "registered model": model.get("name"),
        "version": model.get("version"),
        "alias": model.get("alias"),
        "trained": _time(model.get("trained_at"), zone),
        "threshold set on": transactions,
        "threshold": f"{threshold:.4f}" if isinstance(threshold, int | float) else None,
        "budget": _budget(budget),
        "market in training": _market(model),
        "market now": _market_now(model),
    }
    return {term: value for term, value in values.items() if value not in (None, "")}


def _budget(budget: Any) -> str | None:
    return f"{share(budget)} of traffic may be flagged" if isinstance(budget, int | float) else None


def _market(model: Facts) -> str | None:
    """The going fee rate when the model was trained."""
    rate = (model.get("facts") or {}).get("market_fee_rate")
    return f"{short_number(rate)} sat/vB" if isinstance(rate, int | float) else None


def _market_now(model: Facts) -> str | None:
    """What others pay now, and the range that most of them pay."""
    market = model.get("market")
    if not market:
        return None
    rate, low, high = (short_number(market[name]) for name in ("fee_rate", "low", "high"))
    return f"{rate} sat/vB; most pay {low}–{high}"


def _time(text: Any, zone: ZoneInfo) -> html.Time | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return html.Time(f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S}", title=utc(time))


def _figures(model: Facts) -> Facts:
    """The figures of its evaluation, by name; none where it carries none."""
    figures: Facts = (model.get("facts") or {}).get("evaluation") or {}
    return figures


def _evaluation(model: Facts) -> list[Any]:
    evaluation = _figures(model)
    heading = html.H2("Evaluation")
    recalls = {
        name.removeprefix("recall_"): recall
        for name, recall in evaluation.items()
        if name.startswith("recall_") and name not in SUMMARIES
    }
    if not recalls:
        return [heading, html.P("This version carries no evaluation.", className="note")]
    note = "Share of the injected anomalies that it flags, by kind, on the newest traffic"
    bars = [_bar(spaced(kind), recall, share(recall)) for kind, recall in sorted(recalls.items())]
    totals = [
        (words, share(evaluation[name])) for name, words in SUMMARIES.items() if name in evaluation
    ]
    bar_list = html.Ul(bars, className="bars")
    return [heading, html.P(note, className="note"), bar_list, _definitions(totals)]


def _real_transactions(model: Facts) -> list[list[Any]]:
    """What of real transactions it flags; nothing where the version was trained without them."""
    groups = {
        name.removeprefix(_REAL): flagged
        for name, flagged in _figures(model).items()
        if name.startswith(_REAL)
    }
    if not groups:
        return []
    note = (
        "Share of real transactions that it flags: the first three groups are to be found, and what"
        " people marked as useful"
    )
    bars = [_bar(spaced(group), flagged, share(flagged)) for group, flagged in groups.items()]
    heading = html.H2("Real transactions")
    return [[heading, html.P(note, className="note"), html.Ul(bars, className="bars")]]


def _drift(drift: Facts | None) -> list[Any]:
    heading = html.H2("Drift since training")
    if drift is None:
        return [heading, html.P("The trainer, which measures it, does not answer.")]
    if not drift:
        return [heading, html.P("The trainer has not measured it yet.", className="note")]
    note = f"Population stability index by feature; from {LARGE_SHIFT} on traffic has moved a lot"
    bars = [
        _bar(feature_words(name), index / (2 * LARGE_SHIFT), f"{index:.3f}", index >= LARGE_SHIFT)
        for name, index in sorted(drift.items(), key=lambda item: -item[1])
    ]
    return [heading, html.P(note, className="note"), html.Ul(bars, className="bars limit")]


def _bar(name: str, part: float, value: str, hot: bool = False) -> html.Li:
    """A named bar of a part in 0..1, with its value in words."""
    width = f"{min(max(part, 0), 1) * 100:.0f}%"
    fill = html.Div(className="fill hot" if hot else "fill", style={"width": width})
    return html.Li(
        [html.Span(name), html.Div(fill, className="part"), html.Span(value, className="value")]
    )


def _features(model: Facts) -> list[Any]:
    items = [
        item
        for feature in model.get("features") or ()
        for item in (
            html.Dt(feature["words"], title=feature.get("source")),
            html.Dd([html.Code(feature["formula"]), _unit(feature)]),
        )
    ]
    return [html.H2("Features"), html.Dl(items)]


def _unit(feature: Facts) -> str:
    beside = "; measured beside the market" if feature.get("beside_market") else ""
    return f" {feature['unit']}{beside}"


def _rules(model: Facts) -> list[Any]:
    """The rules that flag beside the model, with their sources."""
    heading, rules = html.H2("Rules"), model.get("rules") or ()
    if not rules:
        return [heading, html.P("The API names no rules.", className="note")]
    note = "They flag whatever the model says, and are counted apart from its budget"
    items = [
        item
        for rule in rules
        for item in (
            html.Dt(spaced(str(rule["name"]))),
            html.Dd(str(rule["words"]), title=rule.get("source")),
        )
    ]
    return [heading, html.P(note, className="note"), html.Dl(items)]
