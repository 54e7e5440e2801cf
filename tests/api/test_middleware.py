import asyncio
import json
import logging
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr, ValidationError
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message
from tests.support.api_application import FixedFollower, application
from tests.support.asgi_calls import Answer, Call, send_call, send_calls

from api.schemas import EXAMPLE
from core.detector.champion import Champion
from core.detector.verdict import Verdict
from core.settings import ApiSettings


class BrokenChampion(Champion):
    """Fails with an unexpected error."""

    def verdict(self, transaction: object, market_fee_rate: float) -> Verdict:
        raise ZeroDivisionError(f"secret internals {type(transaction)} {market_fee_rate}")


@pytest.fixture
def broken(champion: Champion) -> TestClient:
    facts = vars(champion)
    return TestClient(application(FixedFollower(BrokenChampion(**facts))))


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
    (line,) = [each for each in caplog.messages if "event=request_refused" in each]
    assert f"request_id={answer.json()['request_id']}" in line
    assert "status=422" in line and "hidden" not in line


def test_a_caller_that_leaves_is_counted_and_is_no_error(
    champion: Champion, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(FixedFollower(champion))
    (answer,) = send_calls(app, [Call(body=[b'{"hash"'], unfinished=True)])
    assert answer.status == 0
    counted = 'bitcoin_api_requests_total{route="/predict",status="499"} 1.0'
    assert counted in TestClient(app).get("/metrics").text
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


KEY = "0123456789abcdef-key"


@pytest.fixture
def guarded(champion: Champion) -> TestClient:
    settings = ApiSettings(_env_file=None, api_key=SecretStr(KEY))
    return TestClient(application(FixedFollower(champion), settings))


@pytest.mark.parametrize("sent", [{}, {"x-api-key": ""}, {"x-api-key": KEY[:-1]}])
def test_without_the_key_a_prediction_is_a_clear_401(
    guarded: TestClient, sent: dict[str, str]
) -> None:
    answer = guarded.post("/predict", json=EXAMPLE, headers=sent)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("ApiKey")
    assert answer.json()["detail"] == "Send a key of this service in the header X-API-Key."


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
    assert paths["/predict"]["post"]["security"] == [{"key": ["read"]}]
    assert "security" not in paths["/health"]["get"]


def test_the_key_is_neither_logged_nor_shown(
    guarded: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = guarded.post("/predict", json={}, headers={"x-api-key": KEY})
    assert KEY not in caplog.text + answer.text
    assert KEY not in repr(ApiSettings(_env_file=None, api_key=SecretStr(KEY)))


def test_a_key_that_is_too_short_is_no_setting() -> None:
    with pytest.raises(ValidationError, match="api_key"):
        ApiSettings(_env_file=None, api_key=SecretStr("short"))


def test_other_origins_may_not_call_unless_set(client: TestClient, champion: Champion) -> None:
    page = {"origin": "https://example.org"}
    assert "access-control-allow-origin" not in client.get("/health", headers=page).headers
    settings = ApiSettings(_env_file=None, api_cors_origins="https://example.org, https://b.org")
    allowing = TestClient(application(FixedFollower(champion), settings))
    allowed = allowing.get("/health", headers=page).headers["access-control-allow-origin"]
    assert allowed == "https://example.org"
    other = allowing.get("/health", headers={"origin": "https://evil.org"})
    assert "access-control-allow-origin" not in other.headers


def test_a_preflight_request_allows_the_key(champion: Champion) -> None:
    settings = ApiSettings(
        _env_file=None, api_key=SecretStr(KEY), api_cors_origins="https://example.org"
    )
    preflight = {
        "origin": "https://example.org",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, x-api-key",
    }
    answer = TestClient(application(FixedFollower(champion), settings)).options(
        "/predict", headers=preflight
    )
    assert answer.status_code == 200
    assert "X-API-Key" in answer.headers["access-control-allow-headers"]


GOOD = Call(body=[json.dumps(EXAMPLE).encode()])


def limited(champion: Champion, **limits: Any) -> FastAPI:
    return application(FixedFollower(champion), ApiSettings(_env_file=None, **limits))


class SlowCaller:
    """A caller whose body never arrives."""

    def __init__(self, app: ASGIApp) -> None:
        self.in_flight = asyncio.Event()
        self.answer = asyncio.create_task(send_call(self._stall(app), Call()))

    def _stall(self, app: ASGIApp) -> ASGIApp:
        async def receive() -> Message:
            self.in_flight.set()
            await asyncio.Event().wait()
            raise AssertionError("never comes")

        return lambda scope, _, send: app(scope, receive, send)


def test_one_request_too_many_is_refused_for_now_and_probes_are_answered(
    champion: Champion,
) -> None:
    async def run() -> tuple[Answer, Answer]:
        app = limited(champion, api_max_requests=2)
        slow = [SlowCaller(app), SlowCaller(app)]
        for each in slow:
            await each.in_flight.wait()
        refused = await send_call(app, GOOD)
        probe = await send_call(app, Call("/health", method="GET"))
        for each in slow:
            each.answer.cancel()
        await asyncio.gather(*(each.answer for each in slow), return_exceptions=True)
        assert (await send_call(app, GOOD)).status == 200
        return refused, probe

    refused, probe = asyncio.run(run())
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["detail"] == "2 requests are under way already: try again shortly."
    assert probe.status == 200


def test_a_request_that_takes_too_long_is_ended_with_503(champion: Champion) -> None:
    async def run() -> Answer:
        app = limited(champion, api_request_seconds=0.2)
        async with app.router.lifespan_context(app):
            slow = SlowCaller(app)
            return await asyncio.wait_for(slow.answer, 20)

    answer = asyncio.run(run())
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["detail"] == "The request took longer than the limit of 0.2 s."


def test_a_server_that_stops_may_cancel_without_an_answer(champion: Champion) -> None:
    async def run() -> bool:
        slow = SlowCaller(limited(champion))
        await slow.in_flight.wait()
        slow.answer.cancel()
        await asyncio.gather(slow.answer, return_exceptions=True)
        return slow.answer.cancelled()

    assert asyncio.run(run())


def test_a_request_within_the_limit_goes_on(champion: Champion) -> None:
    async def run() -> int:
        app = limited(champion, api_request_seconds=60)
        async with app.router.lifespan_context(app):
            slow = SlowCaller(app)
            await asyncio.sleep(1.3)  # a sweep has passed
            ended = slow.answer.done()
            slow.answer.cancel()
            return ended

    assert not asyncio.run(run())
