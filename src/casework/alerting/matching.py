"""Which of the flags that joined cases are an alert on which route: pure, one row an alert."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from casework.alerting.alert_text import CaseFacts, headline, payload
from casework.alerting.routes_file import Route
from core.severity import SEVERITIES, Severity, highest, rank

Member = Mapping[str, Any]
"""A row of `case_members` that has a transaction."""


def alert_rows(
    routes: Iterable[Route], case: int, joined: Sequence[Member], facts: CaseFacts, now: datetime
) -> list[dict[str, Any]]:
    """The rows of `alerts` for what joined one case in one step, in order of `sequence`."""
    rows = []
    for route in routes:
        if told := [member for member in joined if fits(route, member)]:
            severity = highest([severity_of(member) for member in told])
            telling = max(told, key=_telling)
            rows.append(
                {
                    "sequence": max(member["sequence"] for member in told),
                    "route": route.name,
                    "case": case,
                    "severity": severity,
                    "created_at": now,
                    "joined": len(told),
                    "size": facts.size,
                    "headline": headline(telling),
                    "payload": json.dumps(payload(telling, facts), allow_nan=False),
                }
            )
    return rows


def fits(route: Route, member: Member) -> bool:
    """Whether a route takes one member: by its severity, its patterns, and the watch list."""
    is_hit = bool(member.get("watched"))
    if route.watch_list == "only" and not is_hit or route.watch_list == "never" and is_hit:
        return False
    if route.patterns and not set(route.patterns) & set(member.get("patterns") or ()):
        return False
    return route.takes(severity_of(member))


def severity_of(member: Member) -> Severity:
    """The severity that a member was given when it joined; low for an unknown one."""
    return next((each for each in SEVERITIES if each == member.get("severity")), "low")


def _telling(member: Member) -> tuple[int, float, int]:
    score, threshold = member.get("anomaly_score"), member.get("threshold")
    margin = score - threshold if score is not None and threshold is not None else 0.0
    return rank(severity_of(member)), margin, member["sequence"]
