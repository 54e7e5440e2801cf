"""How urgent a flag or a hit of the watch list is, by one table that a person reads.

Severity orders work, nothing else: unusual is not illicit, and a critical flag may be a mistyped
fee. It is computed from the message that the stream publishes, so the queue, the alerts and the API
agree. The conditions are judgement, not measured: each names a size at which people act sooner.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, get_args

from core.transaction import COIN

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Every severity, the least first."""

_TELLING = {"fee_overpaid", "value_burned", "dust_fan_out", "oversized"}


class Facts(NamedTuple):
    """What the table looks at; a number that a message does not have is NaN, and no row fits it.

    `margin` is by how much the score exceeds its threshold, below 0 where it does not; `times` how
    many times the going fee rate it pays; `amount` what it sends and `fee` what it pays for it, in
    satoshi. `watched` is the severity of the entry of the watch list that it touches, or None.
    """

    flagged: bool
    watched: Severity | None
    flagged_by: str | None
    margin: float
    times: float
    amount: float
    fee: float
    patterns: frozenset[str]


class Row(NamedTuple):
    """One row of the table: its name, the condition in words and as a function, the severity."""

    name: str
    severity: Severity
    words: str
    fits: Callable[[Facts], bool]


def _watched(severity: Severity) -> Row:
    words = f"it touches an entry of the watch list that is {severity}"
    return Row(f"watched_{severity}", severity, words, lambda f: f.watched == severity)


def _flagged(name: str, severity: Severity, words: str, fits: Callable[[Facts], bool]) -> Row:
    return Row(name, severity, f"flagged, and {words}", lambda f: f.flagged and fits(f))


TABLE = (
    _watched("critical"),
    _flagged(
        "fee_lost",
        "critical",
        "it pays a fee of 1 BTC or more, at least 10 times what others pay",
        lambda f: f.fee >= COIN and f.times >= 10,
    ),
    _flagged(
        "large_by_both",
        "critical",
        "both the model and a rule flag it, and it sends 100 BTC or more",
        lambda f: f.flagged_by == "both" and f.amount >= 100 * COIN,
    ),
    _watched("high"),
    _flagged(
        "by_both",
        "high",
        "both the model and a rule flag it",
        lambda f: f.flagged_by == "both",
    ),
    _flagged(
        "far_above_market",
        "high",
        "it pays a fee of 0.01 BTC or more, at least 40 times what others pay",
        lambda f: f.fee >= COIN // 100 and f.times >= 40,
    ),
    _flagged("very_large", "high", "it sends 1,000 BTC or more", lambda f: f.amount >= 1000 * COIN),
    _flagged(
        "far_above_threshold",
        "high",
        "its score is 0.10 or more above the threshold",
        lambda f: f.margin >= 0.10,
    ),
    _watched("medium"),
    _flagged("by_rule", "medium", "a rule flags it", lambda f: f.flagged_by == "rule"),
    _flagged(
        "above_market",
        "medium",
        "it pays at least 10 times what others pay",
        lambda f: f.times >= 10,
    ),
    _flagged("large", "medium", "it sends 100 BTC or more", lambda f: f.amount >= 100 * COIN),
    _flagged(
        "above_threshold",
        "medium",
        "its score is 0.05 or more above the threshold",
        lambda f: f.margin >= 0.05,
    ),
    _flagged(
        "telling_pattern",
        "medium",
        f"one of its patterns is {', '.join(sorted(_TELLING))}",
        lambda f: bool(f.patterns & _TELLING),
    ),
    Row("other", "low", "anything else", lambda _: True),
)
"""Every row, the most severe first; the first that fits gives the severity."""


def row_of(message: Mapping[str, Any]) -> Row:
    """The row of the table that gives a message its severity; takes what `severity` takes."""
    facts = facts_of_message(message)
    return next(row for row in TABLE if row.fits(facts))


def severity(message: Mapping[str, Any]) -> Severity:
    """The severity of a message of `bitcoin-anomalies`; fields may be missing, as in old ones.

    >>> severity({"is_anomaly": True, "flagged_by": "both"})
    'high'
    >>> severity({"kind": "watched", "is_anomaly": False, "watch_severity": "critical"})
    'critical'
    """
    return row_of(message).severity


def rank(severity: Severity) -> int:
    """The place of a severity among `SEVERITIES`, 0 the least."""
    return SEVERITIES.index(severity)


def highest(severities: Iterable[Severity]) -> Severity:
    """The highest of some severities, at least one."""
    return max(severities, key=rank)


def facts_of_message(message: Mapping[str, Any]) -> Facts:
    """The facts of a message. A message without `is_anomaly` is of a flag, unless it is a hit."""
    is_hit = message.get("kind") == "watched"
    entry = message.get("watch_severity")
    watched = next((each for each in SEVERITIES if each == entry), "low" if is_hit else None)
    fee_rate = _number(message, "package_fee_rate")
    if math.isnan(fee_rate):
        fee_rate = _number(message, "fee_rate")
    market = _number(message, "market_fee_rate")
    patterns = message.get("patterns") or [message.get("pattern")]
    return Facts(
        flagged=bool(message.get("is_anomaly", not is_hit)),
        watched=watched,
        flagged_by=message.get("flagged_by"),
        margin=_number(message, "anomaly_score") - _number(message, "threshold"),
        times=fee_rate / market if market > 0 else math.nan,
        amount=_number(message, "output_value"),
        fee=_number(message, "fee"),
        patterns=frozenset(name for name in patterns if isinstance(name, str)),
    )


def table_document() -> str:
    """The table in Markdown, as docs/alerts.md shows it."""
    lines = ["| severity | the first of these that holds | row |", "|---|---|---|"]
    lines += [f"| {row.severity} | {row.words} | `{row.name}` |" for row in TABLE]
    return "\n".join(lines)


def _number(message: Mapping[str, Any], name: str) -> float:
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)
