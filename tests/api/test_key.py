import logging

import pytest
from pydantic import SecretStr, ValidationError
from starlette.testclient import TestClient
from tests.api.conftest import EXAMPLE, Following, application

from core.detector.champion import Champion
from core.settings import ApiSettings

KEY = "0123456789abcdef-key"


@pytest.fixture
def guarded(champion: Champion) -> TestClient:
    settings = ApiSettings(_env_file=None, api_key=SecretStr(KEY))
    return TestClient(application(Following(champion), settings))


@pytest.mark.parametrize("sent", [{}, {"x-api-key": ""}, {"x-api-key": KEY[:-1]}])
def test_without_the_key_a_prediction_is_a_clear_401(
    guarded: TestClient, sent: dict[str, str]
) -> None:
    answer = guarded.post("/predict", json=EXAMPLE, headers=sent)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("ApiKey")
    assert answer.json()["detail"] == "Send the service's key in the header X-API-Key."


def test_with_the_key_everything_is_answered(guarded: TestClient) -> None:
    sent = {"x-api-key": KEY}
    assert guarded.post("/predict", json=EXAMPLE, headers=sent).status_code == 200
    assert guarded.get("/model", headers=sent).status_code == 200


@pytest.mark.parametrize("path", ["/model", "/anomalies/recent", "/predict", "/nothing"])
def test_every_other_path_needs_the_key(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).status_code == 401


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/docs", "/openapi.json"])
def test_probes_scrapes_and_documentation_need_no_key(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).status_code == 200


def test_the_document_says_which_routes_need_the_key(guarded: TestClient) -> None:
    paths = guarded.get("/openapi.json").json()["paths"]
    assert paths["/predict"]["post"]["security"] == [{"key": []}]
    assert "security" not in paths["/health"]["get"]


def test_the_key_is_neither_logged_nor_shown(
    guarded: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = guarded.post("/predict", json={}, headers={"x-api-key": KEY})
    assert KEY not in caplog.text + answer.text
    assert KEY not in repr(ApiSettings(_env_file=None, api_key=SecretStr(KEY)))


def test_a_key_that_is_easily_guessed_is_no_setting() -> None:
    with pytest.raises(ValidationError, match="api_key"):
        ApiSettings(_env_file=None, api_key=SecretStr("short"))


def test_other_origins_may_not_call_unless_set(client: TestClient, champion: Champion) -> None:
    page = {"origin": "https://example.org"}
    assert "access-control-allow-origin" not in client.get("/health", headers=page).headers
    settings = ApiSettings(_env_file=None, api_cors_origins="https://example.org, https://b.org")
    allowing = TestClient(application(Following(champion), settings))
    found = allowing.get("/health", headers=page).headers["access-control-allow-origin"]
    assert found == "https://example.org"
    other = allowing.get("/health", headers={"origin": "https://evil.org"})
    assert "access-control-allow-origin" not in other.headers


def test_a_page_may_ask_first_whether_it_may_send_the_key(champion: Champion) -> None:
    settings = ApiSettings(
        _env_file=None, api_key=SecretStr(KEY), api_cors_origins="https://example.org"
    )
    asked = {
        "origin": "https://example.org",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, x-api-key",
    }
    answer = TestClient(application(Following(champion), settings)).options(
        "/predict", headers=asked
    )
    assert answer.status_code == 200
    assert "X-API-Key" in answer.headers["access-control-allow-headers"]
