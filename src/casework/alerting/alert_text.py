"""What an alert says, as text and as data; every word of it is text, in whatever form it is sent.

What people wrote, such as a name on the watch list, stands on one line and is cut short. Marking up
is left to the sender, which is told that all of this is plain text.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from casework.alerting.pacing import WaitingCase
from core.alert_rows import MessageKind
from core.detector.explanation import BY_RULE_NOT_ILLICIT, NOT_ILLICIT, not_illicit, number
from core.severity import Severity, highest
from core.transaction import COIN

LISTED_CASES = 20
"""A summary's text lists so many cases; its data has all of them."""

_LONGEST_WORDS, _LONGEST_EXPLANATION = 200, 2_000


class CaseFacts(NamedTuple):
    """What is known of a case when members join it: how many it has, and whether it was closed."""

    size: int
    severity: Severity
    new: bool
    reopened: bool


class Message(NamedTuple):
    """What is sent to a receiver, as text and as data. `id` is the same when it is sent again."""

    id: str
    kind: MessageKind
    title: str
    text: str
    severity: Severity | None
    data: Mapping[str, Any]


def one_line(words: Any, longest: int = _LONGEST_WORDS) -> str:
    r"""Words of a person as one line of printable text.

    >>> one_line("cold\nwallet\u202e<b>")
    'cold wallet<b>'
    """
    text = "".join(c for c in " ".join(str(words).split()) if c.isprintable())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def headline(member: Mapping[str, Any]) -> str:
    """A member in one line: "fee overpaid · 129 times what others pay · 3.2 BTC"."""
    parts = [
        f"watched: {one_line(hit.get('name') or 'without a name', 60)}"
        for hit in (member.get("watched") or ())[:2]
    ]
    parts += [", ".join(name.replace("_", " ") for name in (member.get("patterns") or ())[:3])]
    if times := _times_market(member):
        parts.append(f"{number(times)} times what others pay")
    if member.get("output_value") is not None:
        parts.append(f"{number(member['output_value'] / COIN)} BTC")
    return " · ".join(part for part in parts if part) or "an unusual transaction"


def payload(member: Mapping[str, Any], facts: CaseFacts) -> dict[str, Any]:
    """A member and its case as data; amounts in satoshi, fee rates in sat/vB."""
    explained = member.get("explanation") or ""
    if NOT_ILLICIT not in explained and BY_RULE_NOT_ILLICIT not in explained:
        explained = f"{explained} {not_illicit(member.get('flagged_by'))}".strip()
    content = {
        "hash": member.get("hash"),
        "explanation": one_line(explained, _LONGEST_EXPLANATION),
        "patterns": list(member.get("patterns") or ()),
        "flagged_by": member.get("flagged_by"),
        "times_market": _times_market(member),
        "output_value": member.get("output_value"),
        "fee": member.get("fee"),
        "fee_rate": member.get("fee_rate"),
        "anomaly_score": member.get("anomaly_score"),
        "threshold": member.get("threshold"),
        "watched": [
            {key: one_line(value) for key, value in hit.items() if value is not None}
            for hit in member.get("watched") or ()
        ],
        "case_severity": facts.severity,
        "new": facts.new,
        "reopened": facts.reopened,
    }
    return {name: value for name, value in content.items() if _is_json(value)}


def case_message(route: str, case: WaitingCase, dashboard: str) -> Message:
    """The message on one case; `dashboard` is the dashboard's URL, ending with a slash."""
    told, link = json.loads(case.payload), case_link(dashboard, case.case)
    lines = [told["explanation"]]
    lines += [
        f"On the watch list: {hit.get('name', 'without a name')}"
        + (f", {hit['severity']}" if "severity" in hit else "")
        + (f": {hit['what'].replace('_', ' ')}." if "what" in hit else ".")
        for hit in told["watched"]
    ]
    lines += [_case_sentence(case, told), f"Transaction {told['hash']}", link]
    title = f"[{case.severity}] Case {case.case}: {case.headline}"
    data = _case_data(case, dashboard)
    return Message(
        f"{route}-{case.first_sequence}", "alert", title, "\n".join(lines), case.severity, data
    )


def summary_message(route: str, cases: Sequence[WaitingCase], dashboard: str) -> Message:
    """The message on several cases that were held back, the first ones in its text."""
    severity = highest([case.severity for case in cases])
    lines = [
        f"Case {case.case} [{case.severity}], {case.joined} new of {case.size}: {case.headline}"
        for case in cases[:LISTED_CASES]
    ]
    if len(cases) > LISTED_CASES:
        lines.append(f"and {len(cases) - LISTED_CASES} more in the queue")
    lines += [f"{dashboard}queue", NOT_ILLICIT]
    title = f"[{severity}] {len(cases)} cases were held back"
    data = {"cases": [_case_data(case, dashboard) for case in cases]}
    first = min(case.first_sequence for case in cases)
    return Message(f"{route}-{first}", "summary", title, "\n".join(lines), severity, data)


def trial_message(route: str, at: datetime, dashboard: str) -> Message:
    """The message that tries a route."""
    text = (
        f"This is a test of the route {route}, sent at {at:%Y-%m-%d %H:%M:%S} UTC. "
        f"Nothing is wrong.\n{dashboard}"
    )
    title = f"[test] The route {route} works"
    return Message(f"test-{route}-{at:%Y%m%d%H%M%S}", "alert", title, text, None, {"test": True})


def of_origin(message: Message, origin: str) -> Message:
    """The message, which says so where its data is simulated: nobody need be alarmed then."""
    if origin == "live":
        return message
    return message._replace(
        title=f"Simulated: {message.title}", data={**message.data, "origin": origin}
    )


def case_link(dashboard: str, case: int) -> str:
    """The address of a case's page."""
    return f"{dashboard}case/{case}"


def _case_sentence(case: WaitingCase, told: Mapping[str, Any]) -> str:
    begin = "It was closed and is open again: " if told["reopened"] else ""
    of = f"case {case.case} has {_members(case.size)}, {case.joined} of them new"
    if told["new"] and case.joined == case.size:
        of = f"case {case.case} is new and has {_members(case.size)}"
    sentence = begin + of
    return f"{sentence[0].upper()}{sentence[1:]}; its severity is {told['case_severity']}."


def _members(count: int) -> str:
    return "1 member" if count == 1 else f"{count:,} members"


def _case_data(case: WaitingCase, dashboard: str) -> dict[str, Any]:
    return {
        "case": case.case,
        "severity": case.severity,
        "headline": case.headline,
        "joined": case.joined,
        "size": case.size,
        "since": case.first_at.isoformat(),
        "link": case_link(dashboard, case.case),
        **json.loads(case.payload),
    }


def _is_json(value: Any) -> bool:
    """Whether JSON has this value: it has no infinite numbers."""
    return not isinstance(value, float) or math.isfinite(value)


def _times_market(member: Mapping[str, Any]) -> float | None:
    fee_rate, market = member.get("fee_rate"), member.get("market_fee_rate")
    times = fee_rate / market if fee_rate is not None and market else math.inf
    return times if math.isfinite(times) else None
