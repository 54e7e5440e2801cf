"""What a route sends next: cool-down, quiet hours and the cap hold back, and nothing is lost."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.alert_samples import MORNING, route

from casework.alerting.pacing import HOUR, Send, Wait, WaitingCase, held_until, next_step
from casework.alerting.routes_file import Route
from core.severity import SEVERITIES, Severity, highest, rank

NIGHT = {"from": "22:00", "to": "07:00"}


def waiting(case: int, severity: Severity = "medium", **fields: Any) -> WaitingCase:
    given_fields: dict[str, Any] = {
        "first_sequence": case,
        "through": case,
        "joined": 1,
        "size": 1,
        "first_at": MORNING,
        "headline": "zero fee",
        "payload": "{}",
    }
    return WaitingCase(case, severity, **given_fields | fields)


def test_nothing_waits_and_nothing_is_sent() -> None:
    assert next_step(route(), [], [], MORNING) == Wait(None)


def test_the_most_severe_case_comes_first_then_the_oldest() -> None:
    old = waiting(3, first_at=MORNING - timedelta(minutes=1))
    step = next_step(route(), [waiting(1), old, waiting(2, "high")], [], MORNING)
    assert step == Send("alert", (waiting(2, "high"),))
    assert next_step(route(), [waiting(1), old], [], MORNING) == Send("alert", (old,))


def test_a_case_waits_for_the_end_of_its_cool_down() -> None:
    case = waiting(1, told_at=MORNING - timedelta(minutes=20), told_severity="medium")
    assert next_step(route(), [case], [], MORNING) == Wait(MORNING + timedelta(minutes=40))
    assert next_step(route(cool_down="20m"), [case], [], MORNING) == Send("alert", (case,))


@pytest.mark.parametrize(("severity", "passes"), [("medium", False), ("high", True)])
def test_a_case_that_is_worse_passes_the_cool_down_where_the_route_says_so(
    severity: Severity, passes: bool
) -> None:
    case = waiting(1, severity, told_at=MORNING, told_severity="medium")
    assert held_until(route(), case, MORNING) == MORNING + HOUR
    assert (held_until(route(escalate=True), case, MORNING) is None) == passes


def test_quiet_hours_hold_back_but_what_is_critical_where_the_route_says_so() -> None:
    night = MORNING.replace(hour=3)
    until = night.replace(hour=7)
    deaf = route(quiet_hours=NIGHT)
    assert next_step(deaf, [waiting(1, "critical")], [], night) == Wait(until)
    light = route(quiet_hours=NIGHT | {"critical_passes": True})
    both = [waiting(1, "critical"), waiting(2, "high")]
    assert next_step(light, both, [], night) == Send("alert", (both[0],))
    assert next_step(light, both[1:], [], night) == Wait(until)


def test_a_case_in_its_cool_down_and_in_quiet_hours_waits_for_the_later_end() -> None:
    night = MORNING.replace(hour=6, minute=30)
    case = waiting(1, told_at=night, told_severity="medium")
    assert held_until(route(quiet_hours=NIGHT), case, night) == night + HOUR
    assert held_until(route(quiet_hours=NIGHT, cool_down="10m"), case, night) == night.replace(
        hour=7, minute=0
    )


def test_what_came_in_quiet_hours_is_told_by_one_summary() -> None:
    night = MORNING.replace(hour=3)
    cases = (waiting(1, first_at=night), waiting(2, first_at=night))
    day = waiting(3)
    step = next_step(route(quiet_hours=NIGHT), [day, *cases], [], MORNING)
    assert step == Send("summary", cases)
    assert next_step(route(quiet_hours=NIGHT), [cases[0]], [], MORNING) == Send("alert", cases[:1])


def test_the_last_message_of_a_full_hour_is_a_summary_of_all_that_waits() -> None:
    many = [waiting(case) for case in range(5)]
    two = route(per_hour=2)
    assert next_step(two, many, [], MORNING) == Send("alert", (many[0],))
    earlier = MORNING - timedelta(minutes=10)
    assert next_step(two, many, [earlier], MORNING) == Send("summary", tuple(many))
    assert next_step(two, many[:1], [earlier], MORNING) == Send("alert", tuple(many[:1]))
    full = [earlier, MORNING]
    assert next_step(two, many, full, MORNING) == Wait(earlier + HOUR)


ROUTES = st.builds(
    route,
    cool_down=st.sampled_from(["0s", "10m", "1h", "5h"]),
    escalate=st.booleans(),
    per_hour=st.integers(1, 5),
    quiet_hours=st.sampled_from([None, NIGHT, NIGHT | {"critical_passes": True}]),
)
NEWS = st.tuples(st.integers(0, 120), st.integers(1, 4), st.sampled_from(SEVERITIES))


class Rig:
    """A route's tables in memory: what joined, what was told, and when."""

    def __init__(self, taken: Route) -> None:
        self.route = taken
        self.news: list[tuple[int, int, Severity, datetime]] = []
        self.told: dict[int, list[tuple[datetime, int, Severity]]] = defaultdict(list)
        self.sent: list[datetime] = []

    def waiting(self, now: datetime) -> list[WaitingCase]:
        cases = []
        for case in sorted({case for _, case, _, _ in self.news}):
            told = self.told[case]
            through = max((t for _, t, _ in told), default=-1)
            new = [n for n in self.news if n[1] == case and n[0] > through]
            if not new:
                continue
            lately = [s for at, _, s in told if at > now - self.route.cool_down]
            cases.append(
                waiting(
                    case,
                    highest([severity for _, _, severity, _ in new]),
                    first_sequence=new[0][0],
                    through=new[-1][0],
                    first_at=new[0][3],
                    told_at=max((at for at, _, _ in told), default=None),
                    told_severity=highest(lately) if lately else None,
                )
            )
        return cases

    def turn(self, now: datetime) -> Send | Wait:
        step = next_step(self.route, self.waiting(now), self.sent, now)
        if isinstance(step, Send):
            self.sent.append(now)
            for case in step.cases:
                before = self.told[case.case]
                assert all(case.through > through for _, through, _ in before), "out of order"
                for at, _, severity in before:
                    worse = self.route.escalate and rank(case.severity) > rank(severity)
                    assert now - at >= self.route.cool_down or worse, "within the cool-down"
                quiet = self.route.quiet_hours
                assert quiet is None or not quiet.holds(case.severity, now), "in quiet hours"
                before.append((now, case.through, case.severity))
            recent = [at for at in self.sent if at > now - HOUR]
            assert len(recent) <= self.route.per_hour, "above the cap"
        return step


@settings(max_examples=300)
@given(ROUTES, st.lists(NEWS, max_size=40))
def test_everything_is_told_in_order_within_every_limit(
    taken: Route, news: list[tuple[int, int, Severity]]
) -> None:
    rig, now = Rig(taken), MORNING.replace(hour=18)
    for sequence, (minutes, case, severity) in enumerate(news):
        now += timedelta(minutes=minutes)
        rig.news.append((sequence, case, severity, now))
        while isinstance(rig.turn(now), Send):
            pass
    for _ in range(1_000):
        step = rig.turn(now)
        if isinstance(step, Wait):
            if step.until is None:
                break
            assert step.until > now, "it would wait for nothing"
            now = step.until
    assert rig.waiting(now) == []
