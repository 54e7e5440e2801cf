"""What a route sends next, and when: a pure function of what waits, what was told, and the time.

Nothing is dropped. An alert that may not be sent yet waits: for the end of its case's cool-down, of
the quiet hours, or of an hour that was full. What waits of one case is told by one message. What
waits of many cases after quiet hours, or when an hour has room for one message only, is told by one
summary.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from casework.alerting.routes_file import Route
from core.severity import Severity, rank

HOUR = timedelta(hours=1)


class WaitingCase(NamedTuple):
    """The alerts of one case that a route has not been told.

    `severity` is the highest of them, `first_sequence` and `through` are the first and the last
    `sequence`, `joined` is how many members they tell of, `size` how many the case has. `told_at`
    is when the route was last told of the case, and `told_severity` the highest that it was told
    within the cool-down, if any. `headline` and `payload` are of the most severe alert, the newest
    of those.
    """

    case: int
    severity: Severity
    first_sequence: int
    through: int
    joined: int
    size: int
    first_at: datetime
    headline: str
    payload: str
    told_at: datetime | None = None
    told_severity: Severity | None = None


class Send(NamedTuple):
    """Tell of these cases now, in one message."""

    kind: Literal["alert", "summary"]
    cases: tuple[WaitingCase, ...]


class Wait(NamedTuple):
    """Nothing may be sent before `until`; None where nothing waits."""

    until: datetime | None


def next_step(
    route: Route, waiting: Sequence[WaitingCase], sent: Sequence[datetime], now: datetime
) -> Send | Wait:
    """What a route does at a time; `sent` are the times of its messages of the last hour."""
    held = {case: held_until(route, case, now) for case in waiting}
    ready = sorted(
        (case for case, until in held.items() if until is None),
        key=lambda case: (-rank(case.severity), case.first_at, case.case),
    )
    if not ready:
        return Wait(min((until for until in held.values() if until), default=None))
    recent = [at for at in sent if at > now - HOUR]
    room = route.per_hour - len(recent)
    if room <= 0:
        return Wait(min(recent) + HOUR)
    if room == 1 and len(ready) > 1:
        return Send("summary", tuple(ready))
    from_quiet = [case for case in ready if _came_in_quiet_hours(route, case)]
    if len(from_quiet) > 1:
        return Send("summary", tuple(from_quiet))
    return Send("alert", (ready[0],))


def held_until(route: Route, case: WaitingCase, now: datetime) -> datetime | None:
    """Until when the cool-down or the quiet hours hold a case back; None where neither does."""
    ends = []
    if case.told_at and case.told_at + route.cool_down > now and not _is_worse(route, case):
        ends.append(case.told_at + route.cool_down)
    if route.quiet_hours and route.quiet_hours.holds(case.severity, now):
        ends.append(route.quiet_hours.end_after(now))
    return max(ends, default=None)


def _is_worse(route: Route, case: WaitingCase) -> bool:
    """Whether a case has become more severe than the route was told, where that passes."""
    if not route.escalate or case.told_severity is None:
        return False
    return rank(case.severity) > rank(case.told_severity)


def _came_in_quiet_hours(route: Route, case: WaitingCase) -> bool:
    return route.quiet_hours is not None and route.quiet_hours.holds(case.severity, case.first_at)
