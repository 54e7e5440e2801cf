import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application
from tests.support.casework_rows import add_marks, mark_row
from tests.support.scored_lake import append_scored, scored_row

from api.cursors import write_cursor
from core.casework import CaseworkStore
from core.marks import read_marks
from core.settings import ApiSettings
from monitoring.api_metrics import ApiMetrics
from monitoring.prometheus_metrics import new_registry

FLAGGED, OTHER, QUIET, OLD = (digit * 64 for digit in "abc0")
UNKNOWN = "f" * 64


@pytest.fixture
def metrics() -> ApiMetrics:
    return ApiMetrics(new_registry("api"))


@pytest.fixture
def casework(tmp_path: Path) -> CaseworkStore:
    return CaseworkStore(str(tmp_path / "casework"), "simulated")


@pytest.fixture
def client(lake: str, casework: CaseworkStore, metrics: ApiMetrics) -> TestClient:
    rows = [
        scored_row(FLAGGED, timedelta(minutes=1), 0.7) | {"patterns": ["fee_overpaid", "dust"]},
        scored_row(OTHER, timedelta(minutes=2), 0.8) | {"flagged_by": "rule"},
        scored_row(QUIET, timedelta(minutes=3), 0.4),
        scored_row(OLD, timedelta(days=9), 0.9) | {"flagged_by": None, "patterns": None},
    ]
    append_scored(lake, rows)
    app = application(FixedFollower(), lake=lake, casework=casework.root, metrics=metrics)
    return TestClient(app)


def mark(client: TestClient, *hashes: str, **body: Any) -> Any:
    body = {"hashes": list(hashes), "mark": "useful", "author": "ann"} | body
    return client.post("/marks", json=body)


def test_a_mark_is_kept_with_the_verdict_of_that_time(client: TestClient) -> None:
    answer = mark(client, FLAGGED, note="a <b>good</b> one")
    assert answer.status_code == 201, answer.text
    (given,) = answer.json()["marks"]
    (read,) = client.get("/marks").json()["marks"]
    assert {**read, "marked_at": ""} == {**given, "marked_at": ""}
    assert given["note"] == "a <b>good</b> one" and given["author"] == "ann"
    assert (given["anomaly_score"], given["threshold"]) == (0.7, 0.6)
    assert given["patterns"] == ["fee_overpaid", "dust"] and given["flagged_by"] == "model"
    assert given["model_version"] == "3" and given["market_fee_rate"] == 15.5


def test_the_mark_that_is_made_last_counts_though_the_clock_is_set_back(
    client: TestClient, casework: CaseworkStore
) -> None:
    ahead = mark_row(FLAGGED, "not_useful", marked_at=datetime.now(UTC) + timedelta(days=1))
    add_marks(casework, ahead)
    (given,) = mark(client, FLAGGED, mark="withdrawn").json()["marks"]
    newest, before = client.get("/marks").json()["marks"]
    assert newest == given and newest["counts"] and not before["counts"]
    assert read_marks(casework) == []


def test_a_thousand_are_marked_together_and_one_more_is_refused(
    client: TestClient, lake: str
) -> None:
    many = [f"{n:064x}" for n in range(1, 1_002)]
    append_scored(lake, [scored_row(hash, timedelta(hours=1), 0.7) for hash in many])
    assert mark(client, *many[:1_000]).status_code == 201
    assert mark(client, *many).status_code == 422
    assert len(client.get("/marks", params={"limit": 1_000}).json()["marks"]) == 1_000


def test_unknown_hashes_are_named_and_nothing_is_marked(client: TestClient) -> None:
    answer = mark(client, FLAGGED, UNKNOWN, OTHER)
    assert answer.status_code == 422
    problem = answer.json()
    assert "1 of 3 hashes" in problem["detail"] and "position 1" in problem["detail"]
    assert [each["value"] for each in problem["errors"]] == [f'"{UNKNOWN}"']
    assert client.get("/marks").json() == {"marks": [], "next": None}


def test_the_newest_mark_of_a_transaction_counts_and_the_others_stay_as_history(
    client: TestClient, casework: CaseworkStore
) -> None:
    for kind in ("useful", "known", "not_useful"):
        mark(client, FLAGGED, mark=kind)
    mark(client, OTHER)
    mark(client, OTHER, mark="withdrawn")
    history = client.get("/marks", params={"transaction_hash": FLAGGED}).json()["marks"]
    assert [(each["mark"], each["counts"]) for each in history] == [
        ("not_useful", True),
        ("known", False),
        ("useful", False),
    ]
    assert [(row["hash"], row["mark"]) for row in read_marks(casework)] == [(FLAGGED, "not_useful")]


def test_marks_are_read_page_by_page_and_filtered(client: TestClient) -> None:
    mark(client, FLAGGED, OTHER, QUIET)
    mark(client, OLD, mark="known", author="bob 'the' \"b\"")
    pages, cursor = [], None
    while True:
        parameters = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = client.get("/marks", params=parameters).json()
        pages += [each["transaction_hash"] for each in page["marks"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(pages) == sorted([OLD, FLAGGED, OTHER, QUIET]) and pages[0] == OLD

    def found(**parameters: str) -> list[str]:
        answer = client.get("/marks", params=parameters)
        assert answer.status_code == 200, answer.text
        return sorted(each["transaction_hash"] for each in answer.json()["marks"])

    assert found(mark="known") == [OLD] == found(author="bob 'the' \"b\"")
    assert found(since=(datetime.now(UTC) + timedelta(hours=1)).isoformat()) == []
    assert found(since="0001-01-01T00:00:00+23:59") == sorted(pages)
    assert found(cursor=f"{10**17 - 1}-{'f' * 32}") == sorted(pages), "as callers may still hold"
    forged = [(10**17, "f" * 32), (-1, "f" * 32), (1, "' OR 'a' = 'a")]
    for wrong in ["1-2", *(write_cursor(each, "marks") for each in forged)]:
        answer = client.get("/marks", params={"cursor": wrong})
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "cursor"


def test_the_precision_of_flags_follows_the_marks(client: TestClient) -> None:
    mark(client, FLAGGED)
    mark(client, OTHER, OLD, mark="known")
    mark(client, QUIET)  # nothing flagged it, so it says nothing of flags
    found = client.get("/marks/precision").json()
    (whole,) = found["all"]
    assert (whole["useful"], whole["not_useful"], whole["known"]) == (1, 0, 2)
    assert whole["precision"] == pytest.approx(1 / 3)
    assert whole["low"] < 1 / 3 < whole["high"]
    assert {g["group"]: g["useful"] for g in found["version"]} == {"3": 1, "rules": 0}
    assert {g["group"] for g in found["pattern"]} == {"fee_overpaid", "dust", "none"}
    assert sum(g["known"] for g in found["week"]) == 2


def test_without_a_mark_there_is_no_precision(client: TestClient) -> None:
    empty: dict[str, list[Any]] = {"all": [], "pattern": [], "version": [], "week": []}
    assert client.get("/marks/precision").json() == empty


def test_marks_are_counted(client: TestClient, metrics: ApiMetrics) -> None:
    mark(client, FLAGGED, OTHER)
    mark(client, FLAGGED, mark="withdrawn")
    read = metrics.registry.get_sample_value
    assert read("bitcoin_api_marks_total", {"mark": "useful"}) == 2
    assert read("bitcoin_api_marks_total", {"mark": "withdrawn"}) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"mark": "good"}, "mark"),
        ({"mark": None}, "mark"),
        ({"note": "two\nlines"}, "note"),
        ({"note": "\u202eevil"}, "note"),
        ({"note": "x" * 501}, "note"),
        ({"author": ""}, "author"),
        ({"author": "\x07"}, "author"),
        ({"hashes": []}, "hashes"),
        ({"hashes": ["' OR 1=1 --"]}, "hashes.0"),
        ({"hashes": [FLAGGED.upper()]}, "hashes.0"),
        ({"hashes": 7}, "hashes"),
        ({"marks": "useful"}, "marks"),
        ({"x": float("nan")}, "x"),
    ],
)
def test_a_wrong_body_is_refused_with_its_field(
    client: TestClient, body: dict[str, Any], field: str
) -> None:
    sent = {"hashes": [FLAGGED], "mark": "useful", "author": "ann"} | body
    headers = {"Content-Type": "application/json"}
    answer = client.post("/marks", content=json.dumps(sent), headers=headers)
    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("content", [b"", b"[" * 60_000, b"null", b'{"hashes":[', b"\xff"])
def test_what_is_no_body_is_refused(client: TestClient, content: bytes) -> None:
    answer = client.post("/marks", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_that_is_too_large_is_refused(client: TestClient) -> None:
    assert mark(client, *[FLAGGED] * 3_000).status_code == 413


def test_nobody_marks_without_a_name_or_the_permission(
    lake: str, casework: CaseworkStore, client: TestClient, tmp_path: Path
) -> None:
    assert mark(client, FLAGGED, author=None).json()["detail"] == "author: say who does this."
    keys = tmp_path / "keys.toml"
    keys.write_text('[reader]\nkey = "reader-0123456789"\npermissions = ["read"]\n')
    settings = ApiSettings(
        _env_file=None, api_keys_file=keys, api_key=SecretStr("everything-0123456789")
    )
    app = application(FixedFollower(), settings, lake=lake, casework=casework.root)
    caller = TestClient(app)
    body = {"hashes": [FLAGGED], "mark": "useful"}
    refused = caller.post("/marks", json=body, headers={"X-API-Key": "reader-0123456789"})
    assert refused.status_code == 403
    by_key = caller.post("/marks", json=body, headers={"X-API-Key": "everything-0123456789"})
    assert by_key.json()["marks"][0]["author"] == "API_KEY"


def test_tables_that_cannot_be_written_are_answered_with_503(
    lake: str, client: TestClient, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    broken = TestClient(application(FixedFollower(), lake=lake, casework=str(file / "below")))
    assert mark(broken, FLAGGED).status_code == 503
    other = CaseworkStore(str(tmp_path / "live"), "live")
    mark(client, FLAGGED)
    app = application(FixedFollower(), lake=lake, casework=other.root)
    assert mark(TestClient(app), FLAGGED).status_code == 201
