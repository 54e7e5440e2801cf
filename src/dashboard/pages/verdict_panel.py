"""Why a transaction has its score, for a row of the lake and for an answer of the API alike."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from core.detector.explanation import (
    BY_RULE_NOT_ILLICIT,
    NEVER_FLAGGED,
    beside_market,
    not_illicit,
    number,
    rank_words,
    rule,
    value,
)
from core.detector.patterns import COINBASE, PATTERNS
from core.detector.rules import RULES_VERSION, rules_of_row
from core.detector.verdict import SCORE_AXIS, row_patterns
from core.feature_table import FEATURES
from dashboard.activity.filters import FLAGGERS
from dashboard.look.formats import attribute, btc, sat, spaced

_FEATURES = {feature.name: feature for feature in FEATURES}
_PATTERNS = {pattern.name: pattern for pattern in PATTERNS}

MAX_REASONS = 6

NO_SCORE = f"Score and percentile: —. Rules alone have looked at it. {BY_RULE_NOT_ILLICIT}"


def verdict_view(
    verdict: Mapping[str, Any], rank: str = "", threshold: float | None = None
) -> list[Any]:
    """Score, rank, reasons and patterns; `verdict` has the fields of `core.tables.VERDICT`.

    `rank` is a sentence on its rank in the chosen range, and `threshold` the viewer's own, where
    there is one.
    """
    patterns = row_patterns(verdict)
    coinbase = COINBASE in patterns
    unscored = coinbase or verdict.get("model_version") == RULES_VERSION
    without = NEVER_FLAGGED if coinbase else NO_SCORE
    return [
        _unscored(verdict) if unscored else _score(verdict),
        html.P(without if unscored else percentile_sentence(verdict), className="place"),
        html.P(rank, className="note") if rank and not unscored else None,
        None if unscored or threshold is None else _beside(verdict, threshold),
        html.H3("Why"),
        *_reasons(verdict.get("reasons") or ()),
        *_pattern_sentences(patterns),
    ]


def _beside(verdict: Mapping[str, Any], threshold: float) -> html.P:
    """What the viewer's threshold would make of it."""
    would = "would" if float(verdict["anomaly_score"]) >= threshold else "would not"
    return html.P(f"With {threshold:.3f} for all, the model {would} flag it.", className="note")


def _badges(verdict: Mapping[str, Any]) -> list[html.Span]:
    """Whether it is an anomaly, and by what."""
    if not verdict["is_anomaly"]:
        return [html.Span("not flagged", className="badge")]
    by = FLAGGERS.get(verdict.get("flagged_by") or "model", "")
    return [html.Span("anomaly", className="badge hot"), html.Span(f"by {by}", className="badge")]


def _unscored(verdict: Mapping[str, Any]) -> html.Div:
    """The place of the score of what has none: judged by rules alone, or a coinbase."""
    words = html.Span("—", className="big", title="no score")
    line = html.Div([words, *_badges(verdict)], className="score-line")
    return html.Div(line, className="score")


def _score(verdict: Mapping[str, Any]) -> html.Div:
    score, threshold = float(verdict["anomaly_score"]), float(verdict["threshold"])
    hot = " hot" if verdict["is_anomaly"] else ""
    score_text, threshold_text = _told_apart(score, threshold)
    threshold_words = f"threshold {threshold_text}"
    fill = html.Div(className=f"fill{hot}", style={"width": _position(score)})
    mark = html.Div(className="mark", style={"left": _position(threshold)}, title=threshold_words)
    meter = html.Div(
        [fill, mark],
        className="meter",
        role="img",
        **attribute("aria-label", f"score {score_text}, {threshold_words}"),
    )
    return html.Div(
        [
            html.Div(
                [html.Span(score_text, className="big"), *_badges(verdict)],
                className="score-line",
            ),
            meter,
            html.Div(
                [str(SCORE_AXIS[0]), html.Span(threshold_words), str(SCORE_AXIS[-1])],
                className="ends",
            ),
        ],
        className="score",
    )


def _told_apart(score: float, threshold: float) -> tuple[str, str]:
    """Both in as many digits as it takes to see on which side the score lies.

    >>> _told_apart(0.74312, 0.74298), _told_apart(0.5, 0.7)
    (('0.7431', '0.7430'), ('0.500', '0.700'))
    """
    digits = 3
    while digits < 9 and score != threshold and f"{score:.{digits}f}" == f"{threshold:.{digits}f}":
        digits += 1
    return f"{score:.{digits}f}", f"{threshold:.{digits}f}"


def _position(score: float) -> str:
    """Where a score lies on the score axis, in per cent."""
    least, most = SCORE_AXIS[0], SCORE_AXIS[-1]
    return f"{min(max((score - least) / (most - least), 0), 1) * 100:.1f}%"


def percentile_sentence(verdict: Mapping[str, Any]) -> str:
    """The rank of the score, and what a flag does not say.

    >>> percentile_sentence({"percentile": 0.99999, "is_anomaly": False})
    'Scores at least as high as 99.99 % of recent traffic.'
    """
    sentence = f"Scores {rank_words(float(verdict['percentile']))}."
    if not verdict["is_anomaly"]:
        return sentence
    return f"{sentence} {not_illicit(verdict.get('flagged_by'))}"


def _reasons(reasons: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Each reason with its contribution as a bar, and its value beside the usual range."""
    if not reasons:
        return [html.P("No single feature stands out.", className="note")]
    ordered = sorted(reasons, key=lambda reason: -float(reason["contribution"]))
    most = max(float(ordered[0]["contribution"]), 1e-9)
    items = [_reason(reason, most) for reason in ordered[:MAX_REASONS]]
    return [html.Ol(items, className="reasons")]


def _reason(reason: Mapping[str, Any], most: float) -> html.Li:
    name, measure = str(reason["feature"]), float(reason["value"])
    low, high = float(reason["usual_low"]), float(reason["usual_high"])
    part = max(float(reason["contribution"]), 0) / most
    fill = html.Div(className="fill", style={"width": f"{part * 100:.0f}%"})
    usual = f"usual {_with_unit(name, low)} to {_with_unit(name, high)}"
    return html.Li(
        [
            html.Div(
                [
                    html.Span(feature_words(name), className="feature"),
                    html.Span(_with_unit(name, measure), className="value"),
                ],
                className="reason-line",
            ),
            html.Div(
                fill, className="part", title=f"shortens the path by {reason['contribution']:.2f}"
            ),
            _range(name, measure, low, high),
            html.Div(f"{distance_from_range(measure, low, high)}{usual}", className="note"),
        ],
        **attribute("data-feature", name),
    )


def feature_words(feature: str) -> str:
    """A feature in words; one that this release does not have is shown by its name."""
    return _FEATURES[feature].words if feature in _FEATURES else spaced(feature)


def _with_unit(feature: str, measure: float) -> str:
    return value(feature, measure) if feature in _FEATURES else number(measure)


def distance_from_range(measure: float, low: float, high: float) -> str:
    """How many times a measure is above or below its usual range; no words inside it.

    >>> distance_from_range(500.0, 1.0, 50.0)
    '10 times the usual most; '
    """
    if measure > high > 0:
        return f"{_ratio(measure / high)} times the usual most; "
    if 0 < measure < low:
        return f"{_ratio(low / measure)} times below the usual least; "
    return ""


def _ratio(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.1f}"


def _range(name: str, measure: float, low: float, high: float) -> html.Div:
    """The measure as a dot on a logarithmic line whose usual range is shaded."""
    floor = _FEATURES[name].floor if name in _FEATURES else 1e-8
    logs = [math.log10(max(each, 0) + floor) for each in (measure, low, high)]
    least, most = min(logs), max(logs)
    margin = max((most - least) * 0.08, 0.1)
    width = most - least + 2 * margin
    dot, left, right = ((log - least + margin) / width * 100 for log in logs)
    usual = {"left": f"{left:.1f}%", "width": f"{max(right - left, 1):.1f}%"}
    dot_class = "dot" if low <= measure <= high else "dot hot"
    return html.Div(
        [
            html.Div(className="usual", style=usual),
            html.Div(className=dot_class, style={"left": f"{dot:.1f}%"}),
        ],
        className="range",
        title="the shaded part is the usual range, on a logarithmic scale",
    )


def _pattern_sentences(names: Sequence[str]) -> list[Any]:
    """Each pattern in words, with its source."""
    if not names:
        return []
    parts: list[Any] = [html.H3("Pattern" if len(names) == 1 else "Patterns")]
    for name in names:
        pattern = _PATTERNS.get(name)
        sentence = f"{spaced(name)}: {pattern.words}." if pattern else f"{spaced(name)}."
        source = pattern.source if pattern else ""
        parts += [html.P(sentence, title=source), html.P(source, className="note")]
    return parts


def flagging_rules(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the rules that flag a scored transaction; none without its market."""
    return rules_of_row(row) if row.get("market_fee_rate") else ()


def rule_sentences(row: Mapping[str, Any]) -> list[html.P]:
    """The rules that flag a scored transaction, in words; none where only the model does."""
    names = flagging_rules(row)
    words = "; ".join(map(rule, names))
    return [html.P(f"By rule: {words}.", className="rules")] if names else []


def version_sentence(version: str) -> str:
    """What has given a verdict.

    >>> version_sentence("3")
    'Scored by model version 3.'
    """
    alone = version == RULES_VERSION
    return "Not scored: there was no model." if alone else f"Scored by model version {version}."


def market_sentence(fee_rate: float, market_fee_rate: float | None, others: str) -> str:
    """A fee rate beside the market's, both in sat/vB; `others` is "others paid then" or alike.

    >>> market_sentence(480, 15.5, "others paid then")
    'fee rate 480 sat/vB, 31 times what others paid then (15.5)'
    >>> market_sentence(480, None, "others paid then")
    'fee rate 480 sat/vB; what others paid then: —'
    """
    beside = f"; what {others}: —"
    if market_fee_rate:
        beside = f", {beside_market(fee_rate, market_fee_rate, others)}"
    return f"fee rate {value('fee_rate', fee_rate)}{beside}"


def raw_fields(row: Mapping[str, Any]) -> html.Dl:
    """The eight fields and the fee rate, amounts in BTC with satoshi on hover."""
    counts = {
        "size": f"{row['size']:,} bytes",
        "weight": f"{row['weight']:,} weight units",
        "inputs": f"{row['inputs_count']:,}",
        "outputs": f"{row['outputs_count']:,}",
    }
    items: list[Any] = []
    for label, text in counts.items():
        items += [html.Dt(label), html.Dd(text)]
    for name in ("input_value", "output_value", "fee"):
        items += [html.Dt(spaced(name)), html.Dd(btc(row[name]), title=sat(row[name]))]
    rate = row["fee"] * 4 / row["weight"]
    return html.Dl([*items, html.Dt("fee rate"), html.Dd(f"{rate:,.2f} sat/vB")])
