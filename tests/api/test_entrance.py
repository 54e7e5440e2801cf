import logging

import pytest
from starlette.testclient import TestClient
from tests.api.calling import Call, ask_all
from tests.api.conftest import EXAMPLE, Following, application

from core.detector.champion import Champion
from core.detector.verdict import Verdict


class BrokenChampion(Champion):
    """Fails as no champion should."""

    def verdict(self, transaction: object) -> Verdict:
        raise ZeroDivisionError(f"secret internals {type(transaction)}")


@pytest.fixture
def broken(champion: Champion) -> TestClient:
    facts = vars(champion)
    return TestClient(application(Following(BrokenChampion(**facts))))


@pytest.mark.parametrize("path", ["/health", "/docs", "/nothing"])
def test_every_answer_carries_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_a_bug_answers_500_without_its_internals_and_logs_them(
    broken: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = broken.post("/predict", json=EXAMPLE)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret internals" not in answer.text
    (record,) = [each for each in caplog.records if each.exc_info]
    assert answer.json()["request_id"] in record.getMessage()


def test_after_a_bug_the_next_request_is_answered(broken: TestClient) -> None:
    broken.post("/predict", json=EXAMPLE)
    assert broken.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("abc-123_4.5", True), ("a" * 65, False), ("line\tbreak", False), ("", False)],
)
def test_a_harmless_request_id_is_kept(client: TestClient, sent: str, kept: bool) -> None:
    answer = client.get("/nothing", headers={"x-request-id": sent})
    assert (answer.headers["x-request-id"] == sent) is kept
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


def test_refusals_are_logged_without_what_was_sent(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = client.post("/predict", json=EXAMPLE | {"hash": ["hidden"]})
    (line,) = [each for each in caplog.messages if "request refused" in each]
    assert f"request_id={answer.json()['request_id']}" in line
    assert "status=422" in line and "hidden" not in line


def test_a_caller_that_leaves_is_counted_and_is_no_error(
    champion: Champion, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(Following(champion))
    (answer,) = ask_all(app, [Call(body=[b'{"hash"'], unfinished=True)])
    assert answer.status == 0
    counted = 'bitcoin_api_requests_total{route="/predict",status="499"} 1.0'
    assert counted in TestClient(app).get("/metrics").text
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
