"""The outbox in its tables: every member becomes an alert once, and waits until it is told."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.support.alert_samples import DASHBOARD, MORNING, add_members, member, route

from casework.alerting.alert_outbox import AlertOutbox
from casework.alerting.alert_text import case_message, summary_message
from casework.alerting.pacing import WaitingCase
from core.alert_rows import ALERTS
from core.case_rows import CASE_EVENTS
from core.casework import CaseworkStore

TEAM, DESK = route(), route(name="desk", **{"from": "high"})


@pytest.fixture
def store(tmp_path: Path) -> CaseworkStore:
    return CaseworkStore(str(tmp_path), "simulated")


@pytest.fixture
def outbox(store: CaseworkStore) -> AlertOutbox:
    outbox = AlertOutbox(store)
    outbox.open()
    return outbox


def tell(outbox: AlertOutbox, *cases: WaitingCase, name: str = "team", hours: float = 0) -> None:
    compose = summary_message if len(cases) > 1 else None
    message = (
        compose(name, cases, DASHBOARD) if compose else case_message(name, cases[0], DASHBOARD)
    )
    outbox.note_delivery(name, message, cases, MORNING + timedelta(hours=hours))


def test_members_become_alerts_of_the_routes_they_fit_once(
    store: CaseworkStore, outbox: AlertOutbox
) -> None:
    assert outbox.take([TEAM, DESK], MORNING) is None
    add_members(store, member(1, 1), member(2, 1, "high"), member(3, 2), member(4, 3, "low"))
    alerts = outbox.take([TEAM, DESK], MORNING)
    assert alerts is not None
    assert [(a["route"], a["case"], a["sequence"]) for a in alerts] == [
        ("team", 1, 2),
        ("desk", 1, 2),
        ("team", 2, 3),
    ]
    again = AlertOutbox(store)  # as after a restart
    again.open()
    assert again.take([TEAM, DESK], MORNING) is None
    (first, second) = again.waiting(TEAM, MORNING).cases
    assert (first.case, first.severity, first.joined, first.size) == (1, "high", 2, 2)
    assert second.case == 2 and again.waiting(DESK, MORNING).total == 1


def test_without_routes_members_are_passed_over_for_good(
    store: CaseworkStore, outbox: AlertOutbox
) -> None:
    add_members(store, member(1, 1))
    assert outbox.take([], MORNING) == []
    assert outbox.take([TEAM], MORNING) is None
    assert outbox.waiting(TEAM, MORNING).cases == []


def test_what_was_told_no_longer_waits_and_what_is_newer_does(
    store: CaseworkStore, outbox: AlertOutbox
) -> None:
    add_members(store, member(1, 1), member(2, 1))
    outbox.take([TEAM], MORNING)
    tell(outbox, outbox.waiting(TEAM, MORNING).cases[0])
    backlog = outbox.waiting(TEAM, MORNING + timedelta(minutes=5))
    assert backlog.cases == [] and backlog.total == 0 and backlog.sent == [MORNING]
    add_members(store, member(3, 1, "high", explanation="Worse."), member(4, 1))
    outbox.take([TEAM], MORNING)
    (case,) = outbox.waiting(TEAM, MORNING + timedelta(minutes=5)).cases
    assert (case.first_sequence, case.through, case.joined, case.size) == (4, 4, 2, 4)
    assert (case.told_at, case.told_severity) == (MORNING, "medium")
    assert case.severity == "high" and "Worse." in case.payload
    later = outbox.waiting(TEAM, MORNING + timedelta(hours=2))
    assert later.cases[0].told_severity is None and later.sent == []


def test_a_summary_tells_several_cases_by_one_message(
    store: CaseworkStore, outbox: AlertOutbox
) -> None:
    add_members(store, *(member(n, n) for n in range(1, 6)))
    outbox.take([TEAM], MORNING)
    tell(outbox, *outbox.waiting(TEAM, MORNING).cases)
    backlog = outbox.waiting(TEAM, MORNING + timedelta(minutes=1))
    assert backlog.cases == [] and backlog.sent == [MORNING]


def test_routes_are_told_apart(store: CaseworkStore, outbox: AlertOutbox) -> None:
    add_members(store, member(1, 1, "high"))
    outbox.take([TEAM, DESK], MORNING)
    tell(outbox, outbox.waiting(TEAM, MORNING).cases[0])
    assert outbox.waiting(DESK, MORNING).total == 1 and outbox.waiting(DESK, MORNING).sent == []


def test_an_alert_of_a_merged_case_is_one_of_the_case_that_it_is_part_of(
    store: CaseworkStore, outbox: AlertOutbox
) -> None:
    add_members(store, member(1, 1, "critical"), member(2, 2))
    outbox.take([], MORNING)
    merge: dict[str, Any] = {"sequence": 3, "number": 2, "merged_into": 1, "joined_at": MORNING}
    add_members(store, merge, member(4, 2))
    outbox.take([TEAM], MORNING)
    (case,) = outbox.waiting(TEAM, MORNING).cases
    assert (case.case, case.size, case.joined) == (1, 3, 1)
    assert '"case_severity": "critical"' in case.payload and '"new": false' in case.payload


def test_a_case_that_was_closed_is_said_to_be_open_again(
    store: CaseworkStore, outbox: AlertOutbox
) -> None:
    add_members(store, member(1, 1))
    outbox.take([], MORNING)
    closed = {"id": "a", "number": 1, "at": MORNING, "author": "ann", "action": "closed"}
    event = dict.fromkeys(CASE_EVENTS.names) | closed | {"through": 1}
    store.append("case_events", pa.Table.from_pylist([event], CASE_EVENTS))
    add_members(store, member(2, 1))
    outbox.take([TEAM], MORNING)
    assert '"reopened": true' in outbox.waiting(TEAM, MORNING).cases[0].payload


def test_memory_is_bounded_and_those_that_may_be_told_come_first(
    store: CaseworkStore, outbox: AlertOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload: dict[str, Any] = {
        "joined": 1,
        "size": 1,
        "headline": "h",
        "payload": "{}",
        "created_at": MORNING,
    }
    rows = [
        payload | {"sequence": n, "route": "team", "case": n, "severity": "medium"}
        for n in range(1, 1_201)
    ]
    store.append("alerts", pa.Table.from_pylist(rows, ALERTS))
    backlog = outbox.waiting(TEAM, MORNING)
    assert (len(backlog.cases), backlog.total) == (500, 1_200)
    for _ in range(2):
        cases = outbox.waiting(TEAM, MORNING).cases
        payloads = [case._replace(payload=PAYLOAD) for case in cases]
        tell(outbox, *payloads)
    again = [r | {"sequence": r["sequence"] + 5_000, "severity": "high"} for r in rows[:1_000]]
    store.append("alerts", pa.Table.from_pylist(again, ALERTS))
    backlog = outbox.waiting(TEAM, MORNING + timedelta(minutes=1))
    assert backlog.total == 1_200
    assert [case.case for case in backlog.cases[:200]] == list(range(1_001, 1_201))
    worse = outbox.waiting(route(escalate=True), MORNING + timedelta(minutes=1)).cases
    assert worse[0].severity == "high" and worse[0].told_severity == "medium"


PAYLOAD = json.dumps(
    {"explanation": "", "watched": [], "hash": "", "reopened": False, "new": True}
    | {"case_severity": "low"}
)


def test_a_digest_is_known_by_its_day(outbox: AlertOutbox) -> None:
    message = case_message("team", _case(), DASHBOARD)._replace(id="digest-1", kind="digest")
    assert not outbox.is_delivered("team", "digest-1")
    outbox.note_delivery("team", message, (), MORNING)
    assert outbox.is_delivered("team", "digest-1") and not outbox.is_delivered("desk", "digest-1")
    assert outbox.waiting(TEAM, MORNING).sent == []


def _case() -> WaitingCase:
    return WaitingCase(1, "low", 1, 1, 1, 1, MORNING, "h", PAYLOAD)
