"""Verdicts, reasons and numbers in words, for people.

>>> value("fee_rate", 58_400.0)
'58,400 sat/vB'
>>> value("fee", 123_000_000)
'1.23 BTC'
>>> beside_market(480.0, 15.5)
'31 times what others pay now (15.5)'
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

from core.detector.patterns import COINBASE, PATTERNS
from core.detector.rules import RULES, RULES_VERSION
from core.detector.verdict import Reason, Verdict
from core.feature_table import FEATURES
from core.transaction import COIN

NOT_ILLICIT = "Unusual is not illicit: it is rare among recent transactions, no more."
BY_RULE_NOT_ILLICIT = "Flagged is not illicit: its fee or its numbers break a rule, no more."
"""Shown wherever a person could take a flagged transaction for an illicit one."""

NEVER_FLAGGED = (
    "Never flagged: a coinbase transaction spends nothing and pays no fee, so its numbers compare "
    "with those of no payment."
)
"""The verdict on a coinbase transaction, whatever its score."""

_FEATURES = {feature.name: feature for feature in FEATURES}
_PATTERNS = {pattern.name: pattern for pattern in PATTERNS}
_RULES = {rule.name: rule for rule in RULES}

_WATCHED, _BY_RULE, _USUAL = "Watched: ", "By rule, ", "; usual "
"""By what `most_telling` knows a hit of the watch list, and the parts of another explanation."""


def number(value: float) -> str:
    """Three significant digits, with separated thousands: 58,400, 12.3, 0.00042, 0.0000012."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) < 1e-4:
        return format(Decimal(f"{value:.1e}"), "f")
    return f"{value:.3g}"


def amount(satoshi: float) -> str:
    """An amount in satoshi below 0.01 BTC, else in BTC."""
    return " ".join(_parts("sat", satoshi))


def value(feature: str, measure: float) -> str:
    """A feature's measure with its unit; raises `KeyError` for a feature that does not exist."""
    return " ".join(_parts(_FEATURES[feature].unit, measure)).strip()


def _parts(unit: str, measure: float) -> tuple[str, str]:
    """A measure as a number and the unit to show it in."""
    if unit == "sat" and abs(measure) >= COIN // 100:
        return number(measure / COIN), "BTC"
    if unit == "share":
        return number(measure * 100), "%"
    return number(measure) if unit else f"{measure:,.0f}", unit


@lru_cache(maxsize=1_024)
def _usual(unit: str, low: float, high: float, shown_unit: str) -> str:
    """A usual range, with the units that differ from the shown one.

    Cached, since a model has one range for each feature.
    """
    (low_text, low_unit), (high_text, high_unit) = _parts(unit, low), _parts(unit, high)
    if low_unit == high_unit:
        low_unit = ""
    if shown_unit == high_unit and not low_unit:
        high_unit = ""
    return f"{low_text} {low_unit}".strip() + " to " + f"{high_text} {high_unit}".strip()


def beside_market(fee_rate: float, market_fee_rate: float, others: str = "others pay now") -> str:
    """A fee rate as people compare it with the going one; both in sat/vB, the second above 0."""
    others = f"what {others} ({number(market_fee_rate)})"
    times = fee_rate / market_fee_rate
    if times >= 1.5:
        return f"{number(times) if times < 10 else f'{times:,.0f}'} times {others}"
    if times > 2 / 3:
        return f"about {others}"
    return f"{number(times)} of {others}"


def reason(given: Reason, market_fee_rate: float | None = None) -> str:
    """One reason: "fee rate 480 sat/vB, 31 times what others pay now (15.5); usual 7.4 to 83".

    `market_fee_rate` is the going fee rate in sat/vB, where it is known.
    """
    feature = _FEATURES[given.feature]
    measured, unit = _parts(feature.unit, given.value)
    told = f"{feature.words} {f'{measured} {unit}'.strip()}"
    if market_fee_rate and feature.name == "fee_rate":
        told += f", {beside_market(given.value, market_fee_rate)}"
    usual = _usual(feature.unit, given.usual_low, given.usual_high, unit)
    return f"{told}{_USUAL}{usual}"


def pattern(name: str) -> str:
    """A pattern in words; raises `KeyError` for one that does not exist."""
    return _PATTERNS[name].words


def rule(name: str) -> str:
    """A rule in words; raises `KeyError` for one that does not exist."""
    return _RULES[name].words


def explanation(verdict: Verdict, rules: Sequence[str] = ()) -> str:
    """A verdict in sentences: the rank of its score, rules that flag, the patterns, the reasons.

    `rules` are the names of the rules that flag the transaction. A pattern or a feature of another
    version of this project is left out.
    """
    parts = [_opening(verdict)]
    if verdict.package_fee_rate is not None:
        parts.append(package_sentence(verdict.package_fee_rate))
    if rules:
        parts.append(f"{_BY_RULE}{'; '.join(map(rule, rules))}.")
    if patterns := [pattern(name) for name in verdict.patterns if name in _PATTERNS]:
        parts.append(f"In shape, {'; '.join(patterns)}.")
    if known := [each for each in verdict.reasons if each.feature in _FEATURES]:
        reasons = " · ".join(reason(each, verdict.market_fee_rate) for each in known)
        parts.append(f"{reasons[0].upper()}{reasons[1:]}.")
    if verdict.is_anomaly:
        parts.append(not_illicit(verdict.flagged_by))
    return " ".join(parts)


def most_telling(explained: str) -> str:
    """The part of an `explanation` that tells one case from another, without its usual range.

    That is its first reason, else its first rule, else its first sentence. A hit of the watch list
    has one sentence, in which a name may have a full stop.

    >>> most_telling("Unusual: it is rare. In shape, it pays many. Fee 34.7 BTC; usual 199 sat.")
    'Fee 34.7 BTC'
    >>> most_telling("Watched: Mt. Gox was paid 0.5 BTC.")
    'Watched: Mt. Gox was paid 0.5 BTC'
    """
    if explained.startswith(_WATCHED):
        return explained.rstrip(".")
    sentences = explained.split(". ")
    for sentence in sentences:
        if _USUAL in sentence:
            return sentence.split(_USUAL)[0]
    for sentence in sentences:
        if sentence.startswith(_BY_RULE):
            clause = sentence.removeprefix(_BY_RULE).split("; ")[0].rstrip(".")
            return f"{clause[0].upper()}{clause[1:]}"
    return sentences[0].rstrip(".").removeprefix("Unusual: ")


def package_sentence(fee_rate: float) -> str:
    """That a transaction is judged by the effective fee rate of its package, in sat/vB."""
    rate = value("fee_rate", fee_rate)
    return f"It is judged by {rate}, the effective fee rate with a parent or child beside it."


def not_illicit(flagged_by: str | None) -> str:
    """What a flag does not say, of one by the model, by a rule alone ("rule"), or by both."""
    return BY_RULE_NOT_ILLICIT if flagged_by == "rule" else NOT_ILLICIT


def _opening(verdict: Verdict) -> str:
    """Whether it is unusual, and by what."""
    if verdict.pattern == COINBASE:
        return NEVER_FLAGGED
    if verdict.model_version == RULES_VERSION:
        found = "Flagged by a rule" if verdict.is_anomaly else "No rule flags it"
        return f"{found}; there is no model yet."
    opening = "Unusual" if verdict.is_anomaly else "Not unusual enough for an alert"
    if verdict.flagged_by == "rule":
        opening = "Flagged by a rule, not by its score"
    return f"{opening}: it scores {rank_words(verdict.percentile)}."


def rank_words(percentile: float) -> str:
    """A percentile in words, never rounded up to all of the traffic.

    >>> rank_words(0.99999)
    'at least as high as 99.99 % of recent traffic'
    """
    part = math.floor(min(percentile, 0.9999) * 10_000 + 1e-9) / 100
    return f"at least as high as {part:.2f} % of recent traffic"
