from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application
from tests.support.case_samples import NOON, a_flag, a_hash, build, dust_fan_outs

from api.cursors import write_cursor
from core.case_rows import CASE_EVENTS
from core.casework import CaseworkStore
from core.settings import ApiSettings

CLOSE = {"action": "closed", "label": "useful", "author": "ann"}


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "casework")


def serving(root: str, settings: ApiSettings | None = None) -> TestClient:
    return TestClient(application(FixedFollower(), settings, casework=root))


@pytest.fixture
def client(root: str) -> TestClient:
    """Cases 1 (low), 2 (high), 3 (medium, forty transactions) and 4 (low)."""
    four = a_flag(900, pattern="low_fee", patterns=["low_fee", "dust"])
    build(root, a_flag(100), a_flag(200, flagged_by="both"), *dust_fan_outs(), four)
    return serving(root)


def numbers(client: TestClient, **parameters: Any) -> list[int]:
    answer = client.get("/cases", params=parameters)
    assert answer.status_code == 200, answer.text
    return [case["number"] for case in answer.json()["cases"]]


def do(client: TestClient, number: int, **body: Any) -> int:
    return client.post(f"/cases/{number}/events", json=body).status_code


def test_the_queue_has_the_most_severe_first_and_then_the_newest(client: TestClient) -> None:
    assert numbers(client) == [2, 3, 4, 1]
    answer = client.get("/cases").json()
    assert answer["counts"] == {"new": 4, "open": 0, "closed": 0}
    assert answer["next"] is None
    wave = answer["cases"][1]
    assert (wave["transactions"], wave["severity"], wave["state"]) == (40, "medium", "new")
    assert wave["patterns"] == ["dust", "dust_fan_out"]
    assert wave["explanation"] == "Unusual: number 0."


def test_a_queue_is_read_page_by_page(client: TestClient) -> None:
    seen, cursor = list[int](), None
    while True:
        answer = client.get("/cases", params={"limit": 1} | ({"cursor": cursor} if cursor else {}))
        seen += [case["number"] for case in answer.json()["cases"]]
        cursor = answer.json()["next"]
        if cursor is None:
            break
    assert seen == [2, 3, 4, 1]
    assert numbers(client, cursor="low-4") == [1], "as callers may still hold"


def test_the_queue_is_filtered(client: TestClient) -> None:
    assert numbers(client, severity="medium") == [2, 3]
    assert numbers(client, pattern="dust") == [3, 4]
    assert numbers(client, pattern="low_fee") == [4]
    assert numbers(client, since=NOON.isoformat()) == [2, 3, 4, 1]
    assert numbers(client, since="2026-11-23T12:00:01Z") == []
    assert do(client, 2, action="seen", author="ann") == 201
    assert (numbers(client, state="open"), numbers(client, state="new")) == ([2], [3, 4, 1])


@pytest.mark.parametrize(
    "parameters",
    [
        {"state": "x"},
        {"severity": "x"},
        {"pattern": "' OR 1=1"},
        {"since": "5"},
        {"cursor": "high"},
        {"cursor": write_cursor(("other", 4), "cases")},
        {"cursor": write_cursor((1, "0" * 32), "marks")},
        {"limit": 0},
        {"limit": 201},
        {"assignee": ""},
        {"assignee": "x" * 81},
    ],
)
def test_wrong_filters_are_refused(client: TestClient, parameters: Any) -> None:
    assert client.get("/cases", params=parameters).status_code == 422


def test_without_any_case_the_queue_is_empty_and_no_case_is_found(root: str) -> None:
    client = serving(root)
    assert numbers(client) == []
    assert client.get("/cases/1").status_code == 404
    assert do(client, 1, action="seen", author="ann") == 404


def test_a_case_has_its_members_with_their_reasons_and_its_history(client: TestClient) -> None:
    note = {"action": "note", "note": "<b>Ask</b> Bob", "author": "ann"}
    assert client.post("/cases/3/events", json=note).status_code == 201
    answer = client.get("/cases/3").json()
    assert len(answer["members"]) == 40
    newest, first = answer["members"][0], answer["members"][-1]
    assert newest["why"] == ["address", "payer", "wave"]
    assert newest["linked_to"] == a_hash(0)
    assert (first["why"], first["transaction_hash"]) == (["first"], a_hash(0))
    (event,) = answer["events"]
    assert (event["author"], event["action"], event["note"]) == ("ann", "note", "<b>Ask</b> Bob")
    assert answer["case"]["state"] == "open"


def test_states_follow_from_what_people_do(client: TestClient) -> None:
    assert do(client, 1, action="reopened", author="ann") == 409
    assert do(client, 1, **CLOSE) == 201
    assert do(client, 1, **CLOSE) == 409
    assert do(client, 1, action="seen", author="ann") == 409
    assert do(client, 1, action="note", note="as always", author="bob") == 201
    case = client.get("/cases/1").json()["case"]
    assert (case["state"], case["label"], case["last_author"]) == ("closed", "useful", "bob")
    assert do(client, 1, action="reopened", author="ann") == 201
    assert do(client, 1, action="assigned", assignee="bob", author="ann") == 201
    case = client.get("/cases/1").json()["case"]
    assert (case["state"], case["label"], case["assignee"]) == ("open", None, "bob")


def test_what_is_done_last_counts_though_the_clock_is_set_back(
    client: TestClient, root: str
) -> None:
    event = {"id": "a", "number": 1, "at": datetime.now(UTC) + timedelta(days=1), "author": "ann"}
    event |= {"action": "closed", "label": "known", "through": 1}
    store = CaseworkStore(root, "simulated")
    store.append("case_events", pa.Table.from_pylist([event], CASE_EVENTS))
    assert do(client, 1, action="reopened", author="ann") == 201
    answer = client.get("/cases/1").json()
    assert answer["case"]["state"] == "open"
    assert [event["action"] for event in answer["events"]] == ["reopened", "closed"]


def test_a_case_is_assigned_found_by_its_assignee_and_given_back(client: TestClient) -> None:
    assert do(client, 2, action="assigned", assignee="bob", author="ann") == 201
    assert do(client, 3, action="assigned", assignee="ann", author="ann") == 201
    assert numbers(client, assignee="bob") == [2]
    assert numbers(client, assignee="bob", severity="critical") == []
    assert do(client, 2, action="assigned", assignee=None, author="bob") == 201
    assert numbers(client, assignee="bob") == []
    answer = client.get("/cases/2").json()
    assert answer["case"]["assignee"] is None
    assert [event["assignee"] for event in answer["events"]] == [None, "bob"]


@pytest.mark.parametrize(
    "body",
    [
        {"action": "closed"},
        {"action": "closed", "label": "bad"},
        {"action": "note"},
        {"action": "note", "note": ""},
        {"action": "note", "note": "a\x00b"},
        {"action": "note", "note": "x" * 2_001},
        {"action": "assigned"},
        {"action": "seen", "label": "useful"},
        {"action": "seen", "assignee": "bob"},
        {"action": "opened"},
        {"action": "seen", "extra": 1},
        {},
        {"action": "seen", "author": None},
    ],
)
def test_a_wrong_event_is_refused_and_nothing_is_written(
    client: TestClient, root: str, body: dict[str, Any]
) -> None:
    answer = client.post("/cases/1/events", json={"author": "ann"} | body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert CaseworkStore(root, "simulated").table("case_events") is None


@pytest.mark.parametrize("number", ["0", "x", "-1", "1.5", str(2**60), "٣"])
def test_what_is_no_number_of_a_case_is_refused(client: TestClient, number: str) -> None:
    assert client.get(f"/cases/{number}").status_code == 422
    assert client.post(f"/cases/{number}/events", json=CLOSE).status_code == 422


def test_a_merged_case_leads_to_the_one_that_it_is_part_of(root: str) -> None:
    shared = {"input_addresses": ["a", "b"]}
    one, other = a_flag(1, input_addresses=["a"]), a_flag(2, input_addresses=["b"])
    build(root, one, other, a_flag(3, **shared))
    client = serving(root)
    answer = client.get("/cases/2").json()
    assert (answer["case"]["number"], answer["case"]["merged"]) == (1, [2])
    assert len(answer["members"]) == 3
    refused = client.post("/cases/2/events", json=CLOSE)
    assert (refused.status_code, "part of case 1" in refused.json()["detail"]) == (409, True)


def test_only_who_may_mark_works_on_cases(root: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(
        '[reader]\nkey = "r234567890123456"\npermissions = ["read"]\n'
        '[ann]\nkey = "a234567890123456"\npermissions = ["read", "mark"]\n'
    )
    build(root, a_flag(1))
    client = serving(root, ApiSettings(_env_file=None, api_keys_file=keys))
    for key, status in (("", 401), ("r234567890123456", 403), ("a234567890123456", 201)):
        headers = {"X-API-Key": key}
        body = {"action": "seen"}
        assert client.post("/cases/1/events", json=body, headers=headers).status_code == status
    reader = {"X-API-Key": "r234567890123456"}
    assert client.get("/cases/1", headers=reader).json()["events"][0]["author"] == "ann"
