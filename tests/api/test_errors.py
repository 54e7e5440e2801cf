"""Errors in one shape: which field, what it was, what is allowed; never a 500."""

import json
import random
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application
from tests.support.asgi_calls import JSON, Call, mutated, send_calls

from api.errors import Problem
from api.schemas import EXAMPLE
from core.detector.champion import Champion
from core.settings import ApiSettings


def with_fee(text: str) -> bytes:
    return json.dumps(EXAMPLE | {"fee": "?"}).replace('"?"', text).encode()


def refusal(client: TestClient, content: bytes, path: str = "/predict") -> Problem:
    """The problem that a body meets, checked against the one shape."""
    answer = client.post(path, content=content, headers=JSON)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate(answer.json())
    assert problem.status == answer.status_code
    assert problem.request_id == answer.headers["x-request-id"]
    return problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("-1", "-1"),
        ("1.5", "1.5"),
        ("1e400", "Infinity"),
        ("2100000000000001", "2100000000000001"),
        ("1" * 200, "1" * 99 + "…"),
        ('"5000"', '"5000"'),
        ("true", "true"),
        ("null", "null"),
        ("[]", "[]"),
        ("{}", "{}"),
    ],
)
def test_a_wrong_number_is_named_and_shown_with_what_is_allowed(
    client: TestClient, text: str, value: str
) -> None:
    problem = refusal(client, with_fee(text))
    assert problem.status == 422
    (error,) = problem.errors
    assert (error.field, error.value) == ("fee", value)
    assert error.allowed == "an integer from 0 to 2,100,000,000,000,000"


@pytest.mark.parametrize(
    ("changed", "field", "allowed"),
    [
        ({"size": 0}, "size", "an integer from 1 to 4,000,000"),
        ({"hash": ""}, "hash", "text from 1 to 128 characters"),
        ({"hash": "a" * 129}, "hash", "text from 1 to 128 characters"),
        ({"hash": 5}, "hash", "text from 1 to 128 characters"),
        ({"rbf": "yes"}, "rbf", "true or false"),
        ({"spent_outpoints": "1:0"}, "spent_outpoints", "a list from 0 to 1,000 items"),
        ({"input_types": [7]}, "input_types.0", "text from 0 to 32 characters"),
    ],
)
def test_every_kind_of_field_says_what_it_allows(
    client: TestClient, changed: dict[str, Any], field: str, allowed: str
) -> None:
    (error,) = refusal(client, json.dumps(EXAMPLE | changed).encode()).errors
    assert (error.field, error.allowed) == (field, allowed)


def test_a_missing_field_has_no_value(client: TestClient) -> None:
    problem = refusal(client, b'{"hash": "a"}')
    assert len(problem.errors) == 7
    assert {error.value for error in problem.errors} == {None}
    assert problem.detail == (
        "size: it is missing; allowed is an integer from 1 to 4,000,000. There are 6 more."
    )


def test_in_a_batch_the_position_is_named_and_twenty_at_the_most(client: TestClient) -> None:
    batch = {"transactions": [EXAMPLE, EXAMPLE | {"fee": -1}, *[{}] * 9]}
    problem = refusal(client, json.dumps(batch).encode(), "/predict/batch")
    assert problem.errors[0].field == "transactions.1.fee"
    assert problem.errors[0].allowed.startswith("an integer from 0")
    assert len(problem.errors) == 20


def test_one_of_some_words_is_listed(client: TestClient) -> None:
    problem = refusal(client, b'{"transactions": [], "reasons": "some"}', "/predict/batch")
    assert problem.errors[0].allowed == 'one of "flagged", "all", "none"'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xef\xbb\xbf{}",
        b"[" * 60_000,
        b'{"hash":' * 8_000,
        json.dumps(EXAMPLE).encode().replace(b"a1b2", b"\xff\xfe"),
        json.dumps(EXAMPLE).encode().replace(b"a1b2", b"\\ud800"),
        json.dumps(EXAMPLE).encode("utf-16"),
        json.dumps(EXAMPLE).encode().replace(b"{", b'{"ignored": NaN, ', 1),
        with_fee("1" * 5_000),
        with_fee("00"),
        with_fee("+1"),
    ],
    ids=lambda content: repr(content[:12]),
)
def test_what_is_not_json_is_a_bad_request(client: TestClient, content: bytes) -> None:
    problem = refusal(client, content)
    assert problem.status == 400
    assert problem.detail.startswith("The body is not JSON: ")


@pytest.mark.parametrize("content", [b"[]", b"null", b'"text"', b"5"])
def test_json_that_is_no_object_gets_what_is_allowed(client: TestClient, content: bytes) -> None:
    problem = refusal(client, content)
    assert problem.status == 422
    assert problem.errors[0].allowed.startswith("an object with hash, size, weight")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "text/json", ""]
)
def test_another_content_type_is_refusal(client: TestClient, content_type: str) -> None:
    sent = {"content-type": content_type}
    answer = client.post("/predict", content=json.dumps(EXAMPLE), headers=sent)
    assert answer.status_code == 415
    assert answer.json()["detail"] == "Send the body as Content-Type: application/json."


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json"],
)
def test_json_by_any_of_its_names_is_read(client: TestClient, content_type: str) -> None:
    sent = {"content-type": content_type}
    answer = client.post("/predict", content=json.dumps(EXAMPLE), headers=sent)
    assert answer.status_code == 200


def test_an_oversized_body_is_refused_announced_or_not(champion: Champion) -> None:
    app = application(
        FixedFollower(champion), ApiSettings(_env_file=None, api_max_body_bytes=2_000)
    )
    small = json.dumps(EXAMPLE).encode()
    calls = [
        Call(body=[small], headers=JSON | {"content-length": "2001"}),
        Call(body=[small, b" " * 2_000]),
        Call(body=[small, b" " * 1_000]),
    ]
    announced, arrived, within = send_calls(app, calls)
    assert (announced.status, arrived.status, within.status) == (413, 413, 200)
    assert announced.json()["detail"] == "The body is larger than the limit of 2,000 bytes."


def test_an_unknown_path_is_not_echoed(client: TestClient) -> None:
    answer = client.get("/<script>alert(1)</script>")
    assert answer.status_code == 404
    assert "script" not in answer.text
    assert Problem.model_validate(answer.json()).errors == []


def test_a_wrong_method_names_those_that_are_right(client: TestClient) -> None:
    answer = client.get("/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/problem+json"


def test_markup_that_was_sent_never_comes_back_as_markup(client: TestClient) -> None:
    answer = client.post("/predict", json=EXAMPLE | {"hash": "<img src=x>&" * 20})
    assert answer.status_code == 422
    assert not set("<>&") & set(answer.text)
    assert answer.json()["errors"][0]["value"].startswith('"<img src=x>&')
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_ten_thousand_mutated_bodies_are_answered_or_refused(champion: Champion) -> None:
    rng = random.Random(7)
    single = json.dumps(EXAMPLE | {"rbf": True, "lock_time": 5, "output_types": ["p2tr"]}).encode()
    batch = json.dumps({"transactions": [EXAMPLE] * 2, "reasons": "all"}).encode()
    calls = [
        Call(path, [mutated(rng, content)])
        for path, content in [("/predict", single), ("/predict/batch", batch)]
        for _ in range(5_000)
    ]
    answers = send_calls(application(FixedFollower(champion)), calls)
    assert {answer.status for answer in answers} == {200, 400, 422}
    for answer in answers:
        if answer.status != 200:
            Problem.model_validate(answer.json())
