"""The "why" of one transaction, the same for a row of the lake and an answer of the API."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from core.detector.explanation import NOT_ILLICIT, number, value
from core.detector.patterns import PATTERNS
from core.feature_table import FEATURES
from dashboard.look.formats import aria, btc, sat, words

_FEATURES = {feature.name: feature for feature in FEATURES}
_PATTERNS = {pattern.name: pattern for pattern in PATTERNS}

FIELDS = (
    ("size", "size", "bytes"),
    ("weight", "weight", "weight units"),
    ("inputs_count", "inputs", ""),
    ("outputs_count", "outputs", ""),
)


def verdict_view(found: Mapping[str, Any], place: str = "") -> list[Any]:
    """Score, place, reasons and pattern of a verdict; fields as `tables.VERDICT`.

    `place` says where it lies in a chosen range, if there is one.
    """
    return [
        _score(found),
        html.P(_place(found), className="place"),
        html.P(place, className="note") if place else None,
        html.H3("Why"),
        *reasons_view(found.get("reasons") or ()),
        *_pattern(found.get("pattern")),
    ]


def _score(found: Mapping[str, Any]) -> html.Div:
    score, threshold = float(found["anomaly_score"]), float(found["threshold"])
    anomalous = bool(found["is_anomaly"])
    return html.Div(
        [
            html.Div(
                [
                    html.Span(f"{score:.3f}", className="big"),
                    html.Span("anomaly" if anomalous else "not flagged",
                              className="badge hot" if anomalous else "badge"),
                ],
                className="score-line",
            ),
            html.Div(
                [
                    html.Div(className="fill hot" if anomalous else "fill",
                             style={"width": _along(score)}),
                    html.Div(className="mark", style={"left": _along(threshold)},
                             title=f"threshold {threshold:.3f}"),
                ],
                className="meter",
                role="img",
                **aria(f"score {score:.3f}, threshold {threshold:.3f}"),
            ),
            html.Div(["0.3", html.Span(f"threshold {threshold:.3f}"), "0.9"], className="ends"),
        ],
        className="score",
    )  # fmt: skip


def _along(score: float) -> str:
    return f"{min(max((score - 0.3) / 0.6, 0), 1) * 100:.1f}%"


def _place(found: Mapping[str, Any]) -> str:
    """Where it lies among recent traffic, never rounded up to all of it.

    >>> _place({"percentile": 0.99999, "is_anomaly": False})
    'Scores higher than 99.99 % of recent traffic.'
    """
    part = math.floor(min(float(found["percentile"]), 0.9999) * 10_000) / 10_000
    said = f"Scores higher than {part:.2%} of recent traffic.".replace("%", " %")
    return f"{said} {NOT_ILLICIT}" if found["is_anomaly"] else said


def reasons_view(reasons: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Each reason as a bar of its part, its value, and the value against its usual range."""
    if not reasons:
        return [html.P("No single feature stands out.", className="note")]
    ordered = sorted(reasons, key=lambda reason: -float(reason["contribution"]))
    most = max(float(ordered[0]["contribution"]), 1e-9)
    return [html.Ol([_reason(reason, most) for reason in ordered[:6]], className="reasons")]


def _reason(reason: Mapping[str, Any], most: float) -> html.Li:
    name, told = str(reason["feature"]), float(reason["value"])
    low, high = float(reason["usual_low"]), float(reason["usual_high"])
    part = max(float(reason["contribution"]), 0) / most
    usual = f"usual {_told(name, low)} to {_told(name, high)}"
    return html.Li(
        [
            html.Div(
                [html.Span(feature_words(name), className="feature"),
                 html.Span(_told(name, told), className="value")],
                className="reason-line",
            ),
            html.Div(html.Div(className="fill", style={"width": f"{part * 100:.0f}%"}),
                     className="part", title=f"shortens the path by {reason['contribution']:.2f}"),
            _range(name, told, low, high),
            html.Div(f"{_side(told, low, high)}{usual}", className="note"),
        ],
        **_of(name),
    )  # fmt: skip


def _of(feature: str) -> dict[str, Any]:
    return {"data-feature": feature}


def feature_words(feature: str) -> str:
    """A feature's words; a model of another release may have one that is not known here."""
    return _FEATURES[feature].words if feature in _FEATURES else words(feature)


def _told(feature: str, measure: float) -> str:
    return value(feature, measure) if feature in _FEATURES else number(measure)


def _side(told: float, low: float, high: float) -> str:
    """By how much it leaves the usual range.

    >>> _side(500.0, 1.0, 50.0)
    '10 times the usual most; '
    """
    if told > high > 0:
        return f"{_times(told / high)} times the usual most; "
    if 0 < told < low:
        return f"{_times(low / told)} times below the usual least; "
    return ""


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.1f}"


def _range(name: str, told: float, low: float, high: float) -> html.Div:
    """The value as a dot on a logarithmic line whose usual range is shaded."""
    floor = _FEATURES[name].floor if name in _FEATURES else 1e-8
    places = [math.log10(max(each, 0) + floor) for each in (told, low, high)]
    least, most = min(places), max(places)
    room = max((most - least) * 0.08, 0.1)
    width = most - least + 2 * room
    dot, left, right = ((place - least + room) / width * 100 for place in places)
    inside = low <= told <= high
    return html.Div(
        [
            html.Div(className="usual",
                     style={"left": f"{left:.1f}%", "width": f"{max(right - left, 1):.1f}%"}),
            html.Div(className="dot" if inside else "dot hot", style={"left": f"{dot:.1f}%"}),
        ],
        className="range",
        title="the shaded part is the usual range, on a logarithmic scale",
    )  # fmt: skip


def _pattern(name: str | None) -> list[Any]:
    if name is None:
        return []
    known = _PATTERNS.get(name)
    said = f"{words(name)}: {known.words}." if known else f"{words(name)}."
    source = known.source if known else ""
    return [html.H3("Pattern"), html.P(said, title=source), html.P(source, className="note")]


def raw_fields(row: Mapping[str, Any]) -> html.Dl:
    """The eight fields and the fee rate, amounts in BTC with satoshi on hover."""
    pairs: list[Any] = []
    for field, label, unit in FIELDS:
        pairs += [html.Dt(label), html.Dd(f"{row[field]:,} {unit}".strip())]
    for field, label in (("input_value", "input value"), ("output_value", "output value"),
                         ("fee", "fee")):  # fmt: skip
        pairs += [html.Dt(label), html.Dd(btc(row[field]), title=sat(row[field]))]
    rate = row["fee"] * 4 / row["weight"]
    return html.Dl([*pairs, html.Dt("fee rate"), html.Dd(f"{rate:,.2f} sat/vB")])
