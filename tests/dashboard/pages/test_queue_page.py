from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from tests.support.case_samples import NOON, a_flag, build, dust_fan_outs
from tests.support.dashboard_backend import as_text, make_services

from core.case_rows import CASE_EVENTS
from core.cases import CaseBook
from core.casework import CaseworkStore
from core.proxy_names import ProxyNames
from dashboard.casework_callbacks import (
    UNREACHABLE,
    UNREADABLE,
    case_number,
    pressed_body,
    queue_outputs,
    send_event,
    shown_numbers,
)
from dashboard.pages.case_form import answer_words, case_form, event_body
from dashboard.pages.case_page import case_body, timeline, why_sentence
from dashboard.pages.queue_page import QueueQuery, queue_rows
from dashboard.services import Services

ADDRESS = r"\?(state|severity|pattern|after|assignee)=\w{0,9}(-\d{0,20})?"
SENDER = {"REMOTE_ADDR": "127.0.0.1"}


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """Cases 1 (medium), 2 (high) and 3 (low); the API does not answer."""
    flags = [*dust_fan_outs(3), a_flag(100, flagged_by="both"), a_flag(200)]
    build(str(tmp_path / "casework"), *flags)
    return make_services(tmp_path / "lake", "http://127.0.0.1:9")


@given(st.text(max_size=60) | st.from_regex(ADDRESS))
def test_any_address_is_a_queue_and_leads_to_itself(search: str) -> None:
    query = QueueQuery.from_query(search)
    assert QueueQuery.from_query(query.query) == query


def test_what_is_new_waits_and_what_is_done_leaves(services: Services) -> None:
    index = services.cases.index()
    query = QueueQuery()
    assert [case.number for case in queue_rows(index, query, []).cases] == [2, 1, 3]
    rows = queue_rows(index, query, [3, 1])
    assert ([case.number for case in rows.cases], rows.waiting) == ([3, 1], 1)
    closed = queue_rows(index, QueueQuery(tab="closed"), [3, 1])
    assert (closed.cases, closed.waiting) == ([], 0)


@pytest.mark.parametrize("shown", [None, 5, {"query": "", "numbers": ["x", None]}, {"query": "?"}])
def test_what_the_page_says_of_itself_is_taken_as_a_strangers(shown: object) -> None:
    assert shown_numbers(shown, QueueQuery()) == []


def test_the_paths_of_a_case_and_no_others_have_its_number() -> None:
    assert case_number("/bitcoin/case/7/", "/bitcoin/") == 7
    assert [
        case_number(path, "/") for path in (None, "/case/", "/case/x", "/case/" + "9" * 16)
    ] == [None] * 4


def test_cases_that_cannot_be_read_are_said_to_be(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: CaseBook) -> None:
        raise OSError("gone")

    monkeypatch.setattr(CaseBook, "index", fails)
    assert queue_outputs(services, QueueQuery(), [])["problem"] == UNREADABLE


def test_names_and_reasons_are_shown_as_text(tmp_path: Path) -> None:
    build(str(tmp_path / "casework"), a_flag(1, explanation="Unusual: <b>x</b>. Rest."))
    services = make_services(tmp_path / "lake", "http://127.0.0.1:9")
    shown = as_text(queue_outputs(services, QueueQuery(), []))
    assert '"children": "<b>x</b>"' in shown


def test_an_api_that_does_not_answer_is_said_and_counted(services: Services) -> None:
    body = event_body("seen", None, None, "ann")
    assert send_event(services, 1, body) == (0, UNREACHABLE)
    assert services.metrics.errors.labels("api")._value.get() == 1
    status, words = send_event(services, 1, event_body("closed", "", "x", "ann"))
    assert (status, "choose one" in words) == (422, True)


def test_a_refusal_is_shown_as_the_api_words_it() -> None:
    assert answer_words(409, {"detail": "Case 1: It is closed."}) == "Case 1: It is closed."
    assert answer_words(500, {}) == "The API has refused it (status 500)."
    done = {"event": {"action": "closed", "label": "not_useful"}}
    assert answer_words(201, done) == "Closed as not useful."
    for assignee, name in (("bob", "bob"), (None, "nobody")):
        given_to = {"event": {"action": "assigned", "assignee": assignee}}
        assert answer_words(201, given_to) == f"Assigned to {name}."


def test_only_a_closing_sends_a_label() -> None:
    assert event_body("seen", " why ", "known", None) == {"action": "seen", "note": "why"}
    assert event_body("closed", None, "known", "ann") == {
        "action": "closed",
        "label": "known",
        "author": "ann",
    }


def test_a_case_is_assigned_to_the_viewer_to_a_name_and_to_nobody(services: Services) -> None:
    given = {"note": "", "label": "known", "author": "ann", "assignee": " bob "}
    signed = {"action": "assigned", "author": "ann"}
    assert pressed_body("mine", given, "ann") == signed | {"assignee": "ann"}
    assert pressed_body("named", given, "ann") == signed | {"assignee": "bob"}
    assert pressed_body("nobody", given, "ann") == signed | {"assignee": None}
    assert pressed_body("seen", given, "ann") == {"action": "seen", "author": "ann"}
    for pressed, blank in (("mine", {"author": ""}), ("named", {"assignee": " "})):
        status, words = send_event(services, 1, pressed_body(pressed, given | blank, None))
        assert (status, "type a name" in words) == (422, True)


def test_a_name_that_the_proxy_gives_signs_in_place_of_the_typed_one(services: Services) -> None:
    services.names = ProxyNames("X-Forwarded-User", "127.0.0.1")
    assert services.author(" bob ") == "bob"
    header = {"X-Forwarded-User": "Ann"}
    with Flask("app").test_request_context(headers=header, environ_base=SENDER):
        assert services.author("bob") == "Ann"
        assert '"value": "Ann"' in as_text(case_form("queue", services.viewer_name()))


def test_the_viewers_own_cases_are_a_filter_and_so_are_those_of_others(
    services: Services, tmp_path: Path
) -> None:
    def shown(search: str, viewer: str | None = "ann") -> Any:
        return queue_outputs(services, QueueQuery.from_query(search), [], viewer)

    event = {"action": "assigned", "assignee": "ann", "author": "bob", "label": None, "note": None}
    at = {"id": "1", "number": 2, "at": NOON, "through": 4}
    store = CaseworkStore(str(tmp_path / "casework"), "simulated")
    store.append("case_events", pa.Table.from_pylist([event | at], CASE_EVENTS))
    assert "mine only" in as_text(shown("?state=all")["filters"])
    assert "mine only" not in as_text(shown("?state=all", None)["filters"])
    mine = shown("?state=all&assignee=ann")
    assert mine["shown"]["numbers"] == [2]
    assert '"children": ["mine"' in as_text(mine["filters"])
    assert '"children": "ann"' in as_text(mine["list"])
    assert "assigned to ann" in as_text(shown("?assignee=ann", "bob")["filters"])
    assert "No case here passes the filter." in as_text(shown("?assignee=bob")["list"])


def test_a_member_says_by_what_it_is_linked() -> None:
    row = {"why": ["spends", "address"], "linked_to": "ab" * 32}
    words = "Linked to abababababab… by an output that it spends and a shared address."
    assert why_sentence(row) == words


def test_a_case_of_one_moment_has_no_bars(services: Services) -> None:
    def body(number: int) -> str:
        case = services.cases.index().find(number)
        assert case is not None
        return as_text(case_body(case, services.cases.members(case), ZoneInfo("UTC")))

    assert "Over time" in body(1)
    assert "Over time" not in body(2) and "It opened the case." in body(2)


def test_a_case_says_that_messages_are_left_out(services: Services) -> None:
    case = services.cases.index().find(1)
    assert case is not None and case.size == 3
    first, *others = services.cases.members(case)
    again = [first | {"first": False, "why": ["same"]}]

    def said(*members: dict[str, Any]) -> str:
        return as_text(case_body(case, members, ZoneInfo("UTC")))

    left_out = "messages are shown."
    assert left_out not in said(first, *others) and left_out not in said(*again, first, *others)
    assert f"The newest 3 {left_out}" in said(*again * 2, first)
    assert f"The newest 1 {left_out}" in said(*again), "no bar can be drawn of it"


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_every_member_is_in_a_bar(seconds: list[int]) -> None:
    drawn = timeline([NOON + timedelta(seconds=each) for each in seconds], ZoneInfo("UTC"))
    assert f"{len(seconds)} transactions from" in as_text(drawn)
