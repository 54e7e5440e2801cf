"""GET /report: a page for people, JSON for programs, a problem detail for everything else."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application, calibrated, fitted, traffic
from tests.support.report_lake import write_day


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    lake = str(tmp_path_factory.mktemp("report") / "lake")
    write_day(lake)
    return TestClient(application(FixedFollower(), lake=lake))


def test_a_person_gets_a_page(client: TestClient) -> None:
    for accept in ("text/html,application/xhtml+xml,*/*;q=0.8", "*/*"):
        answer = client.get("/report?day=2026-11-27", headers={"Accept": accept})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "Daily report of 2026-11-27" in answer.text and "12 flagged" in answer.text


@pytest.mark.parametrize(
    ("query", "accept"), [("&format=json", "text/html"), ("", "application/json")]
)
def test_a_program_gets_json(client: TestClient, query: str, accept: str) -> None:
    answer = client.get(f"/report?day=2026-11-27{query}", headers={"Accept": accept})
    content = answer.json()
    assert (content["flagged"], content["transactions"]) == (12, 40)
    assert len(content["top"]) == 10


def test_without_a_day_it_is_yesterday_which_may_have_no_rows(client: TestClient) -> None:
    assert client.get("/report?format=json").json()["transactions"] == 0


@given(st.text(max_size=12))
def test_whatever_the_day_the_answer_is_a_report_or_a_problem(client: TestClient, day: str) -> None:
    answer = client.get("/report", params={"day": day, "format": "json"})
    assert answer.status_code in (200, 422)


@pytest.mark.parametrize(
    "query", ["day=1700000000", "day=2026-02-30", "day=0001-01-01", "day=2026-11-27T00:00"]
)
def test_what_is_no_day_is_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"/report?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_lake_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    write_deltalake(f"{tmp_path}/scored_transactions", pa.table({"hash": ["a"]}))
    client = TestClient(application(FixedFollower(), lake=str(tmp_path)))
    assert client.get("/report").status_code == 503


def test_drift_is_measured_from_the_champion_and_without_one_the_report_says_so(
    tmp_path: Path,
) -> None:
    follower = FixedFollower(problem="MLflow does not answer")
    client = TestClient(application(follower, lake=str(tmp_path)))

    def drift() -> object:
        return client.get("/report?format=json").json()["drift"]["problem"]

    assert drift() == "MLflow does not answer"
    rows = traffic(500)
    follower.current = calibrated(fitted(rows), rows, "3")
    assert drift() == "version 3 does not say what traffic it was trained on"
