import logging
from datetime import datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application
from tests.support.delta_tables import confirmation, replacement, write
from tests.support.inside_lake import (
    CHILD,
    EARLIER,
    FAMILY,
    GRANDCHILD,
    NOW,
    PARENT,
    UNRELATED,
    a_hash,
    sum_ended_days,
    write_insides,
    write_movements,
    write_verdict,
)


@pytest.fixture
def client(lake: str) -> TestClient:
    write_insides(lake, *FAMILY)
    return TestClient(application(FixedFollower(), lake=lake))


def test_a_transaction_is_told_with_its_inside_and_its_relatives(
    client: TestClient, lake: str
) -> None:
    write_verdict(lake, GRANDCHILD, flagged=True)
    answer = client.get(f"/transactions/{CHILD['hash']}")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["inputs"] == [
        {"address": "bc1qmiddle", "value": 70_000, "outpoint": CHILD["spent_outpoints"][0]}
    ]
    assert found["outputs"][1] == {"address": "bc1qlast", "value": 10_000}
    assert (found["inputs_cut"], found["outputs_cut"]) == (False, False)
    (parent,), (child,) = found["parents"], found["children"]
    assert (parent["transaction_hash"], parent["value"]) == (PARENT["hash"], 70_000)
    assert parent["is_anomaly"] is None
    assert (child["transaction_hash"], child["is_anomaly"]) == (GRANDCHILD["hash"], True)
    assert found["fee"] == 1_000 and found["fee_rate"] == 4.0
    assert (found["verdict"], found["confirmation"], found["replacements"]) == (None, None, [])
    assert "largest_output" in found["facts"] and "fee" not in found["facts"]


def test_its_verdict_and_its_fate_are_told(client: TestClient, lake: str) -> None:
    write_verdict(lake, CHILD, flagged=True)
    write(Path(lake), "confirmations", confirmation(CHILD["hash"], 914_233, NOW))
    for _ in range(2):  # as after a crash
        write(Path(lake), "replacements", replacement(CHILD["hash"], a_hash(9), NOW))
    found = client.get(f"/transactions/{CHILD['hash']}").json()
    assert found["verdict"]["is_anomaly"] and found["verdict"]["explanation"].startswith("Unusual")
    assert found["confirmation"]["block_height"] == 914_233
    (step,) = found["replacements"]
    assert (step["replaced_hash"], step["fee"]) == (a_hash(9), 2_000)


def test_of_a_row_of_an_earlier_version_only_the_facts_are_known(client: TestClient) -> None:
    found = client.get(f"/transactions/{EARLIER['hash']}").json()
    assert (found["inputs"], found["outputs"]) == (None, None)
    assert found["parents"] == found["children"] == []


def test_an_address_is_told_alike_when_its_ended_days_are_summed(
    client: TestClient, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.address_days.BUSY_MOVEMENTS", 1)
    for row in (PARENT, CHILD):
        write_verdict(lake, row, flagged=row is PARENT)
    before = client.get("/addresses/bc1qmiddle").json()
    assert (before["transactions_count"], before["flagged_count"]) == (2, 1)
    sum_ended_days(lake)
    assert client.get("/addresses/bc1qmiddle").json() == before


def test_an_address_is_told_with_its_sums_and_coverage(client: TestClient, lake: str) -> None:
    write_verdict(lake, GRANDCHILD, flagged=True)
    write_movements(lake, GRANDCHILD)
    answer = client.get("/addresses/bc1qlast")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["received"], found["spent"], found["transactions_count"]) == (19_000, 29_000, 3)
    assert found["flagged_count"] == 1 and found["next"] is None
    assert datetime.fromisoformat(found["since"]) == PARENT["append_time"]
    assert datetime.fromisoformat(found["first_seen"]) == CHILD["event_time"]
    assert [each["transaction_hash"] for each in found["transactions"]] == [
        each["hash"] for each in (UNRELATED, GRANDCHILD, CHILD)
    ]
    assert [each["is_anomaly"] for each in found["transactions"]] == [None, True, None]


def test_an_address_is_found_in_capitals_too(client: TestClient) -> None:
    assert client.get("/addresses/BC1QHUB").json()["address"] == "bc1qhub"


def test_the_pages_of_an_address_have_every_transaction_once(client: TestClient) -> None:
    seen, cursor = list[str](), None
    while True:
        parameters = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = client.get("/addresses/bc1qhub", params=parameters).json()
        seen += [each["transaction_hash"] for each in page["transactions"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [each["hash"] for each in (UNRELATED, GRANDCHILD, CHILD)]


def test_a_cursor_of_another_address_is_refused(client: TestClient) -> None:
    cursor = client.get("/addresses/bc1qhub", params={"limit": 1}).json()["next"]
    answer = client.get("/addresses/bc1qlast", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")


@pytest.mark.parametrize(
    "path", [f"/transactions/{'f' * 64}", "/addresses/bc1qnobody", "/addresses/6a01"]
)
def test_what_the_lake_does_not_have_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "The lake" in answer.json()["detail"]
    assert "docs lists" in client.get("/nothing").json()["detail"]


def test_an_empty_lake_has_nothing(lake: str) -> None:
    client = TestClient(application(FixedFollower(), lake=lake))
    assert client.get(f"/transactions/{'f' * 64}").status_code == 404
    assert client.get("/addresses/bc1qhub").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        f"/transactions/{'F' * 64}",
        "/transactions/abc",
        f"/transactions/{'f' * 64}%0A",
        "/addresses/bc1q' OR 1=1 --",
        "/addresses/%F0%9F%92%A9",
        f"/addresses/{'a' * 257}",
        "/addresses/bc1qhub%0A",
        "/addresses/bc1qhub?limit=0",
        "/addresses/bc1qhub?cursor=abc",
    ],
)
def test_a_wrong_parameter_is_refused(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_whom_somebody_asks_about_is_in_no_log_and_no_metric(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for path in ("bc1qnobody", "bc1qnobody/", "bc1qnobody!", "bc1qhub?limit=bc1qnobody"):
        client.get(f"/addresses/{path}")
    logged = [r.getMessage() for r in caplog.records if not r.name.startswith("httpx")]
    assert logged and not [line for line in logged if "bc1q" in line]
    assert "bc1q" not in client.get("/metrics").text


def test_a_damaged_lake_is_answered_with_503(client: TestClient, lake: str) -> None:
    for file in Path(lake).rglob("*.parquet"):
        file.write_bytes(b"")
    for path in ("/addresses/bc1qhub", f"/transactions/{CHILD['hash']}"):
        assert client.get(path).status_code == 503
