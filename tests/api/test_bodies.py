"""No body takes much memory or time: its parts are bounded, reading ends at the first faults."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message
from tests.support.api_application import FixedFollower, application
from tests.support.asgi_calls import JSON, Answer, Call, send_call

from api import blockchain_body
from api.bodies import MAX_TRANSACTION_BYTES, read_transaction
from api.errors import InvalidBodyError
from api.schemas import EXAMPLE, SubmittedTransaction, batch_model
from core.detector.champion import Champion
from core.settings import ApiSettings
from core.transaction import MAX_OUTPOINTS, Block, ObservedTransaction


def post(client: TestClient, path: str, content: bytes) -> tuple[int, dict[str, Any]]:
    answer = client.post(path, content=content, headers=JSON)
    return answer.status_code, answer.json()


def with_field(name: str, text: str) -> bytes:
    return f'{json.dumps(EXAMPLE)[:-1]}, "{name}": {text}}}'.encode()


def with_fee(transaction: dict[str, Any], text: str) -> bytes:
    return json.dumps(transaction | {"fee": "?"}).replace('"?"', text).encode()


def unbounded(part: Any, path: str = "") -> Iterator[str]:
    """The paths in a JSON schema of lists and texts without a limit."""
    if isinstance(part, list):
        for each in part:
            yield from unbounded(each, path)
    if not isinstance(part, dict):
        return
    limit = {"array": "maxItems", "string": "maxLength"}.get(part.get("type", ""))
    if limit and limit not in part and not {"enum", "pattern", "const"} & part.keys():
        yield path
    for name, inner in part.items():
        yield from unbounded(inner, f"{path}/{name}")


@pytest.mark.parametrize(
    "model", [SubmittedTransaction, ObservedTransaction, Block, batch_model(9)]
)
def test_every_list_and_text_of_a_body_or_record_is_bounded(model: type[BaseModel]) -> None:
    assert not list(unbounded(model.model_json_schema()))


@pytest.mark.parametrize("name", ["input_types", "output_types", "spent_outpoints"])
def test_a_list_of_thousands_of_faults_has_one(client: TestClient, name: str) -> None:
    status, problem = post(client, "/predict", with_field(name, json.dumps([1] * 9_000)))
    assert status == 422
    assert [error["field"] for error in problem["errors"]] == [f"{name}.0"]


def test_the_largest_transaction_with_every_fact_is_read(client: TestClient) -> None:
    outpoints = ["9007199254740991:4294967295"] * MAX_OUTPOINTS
    content = json.dumps(EXAMPLE | {"spent_outpoints": outpoints}).encode()
    assert len(content) < MAX_TRANSACTION_BYTES
    assert post(client, "/predict", content)[0] == 200


@pytest.mark.parametrize("text", [json.dumps([[]] * 30_000), '"' + "a" * 70_000 + '"'])
def test_one_transaction_is_limited_also_within_a_batch(client: TestClient, text: str) -> None:
    content = with_field("ignored", text)
    assert post(client, "/predict", content)[0] == 413
    batch = b'{"transactions": [%s, %s]}' % (json.dumps(EXAMPLE).encode(), content)
    status, problem = post(client, "/predict/batch", batch)
    assert status == 413
    assert problem["detail"].startswith("The transaction at position 1 is larger than")


def test_more_objects_than_a_batch_can_have_are_refused(client: TestClient) -> None:
    status, problem = post(client, "/predict/batch", b'{"transactions":[' + b"{}," * 200_000)
    assert (status, problem["detail"][:31]) == (413, "The body has more JSON objects ")


def test_more_objects_than_a_raw_transaction_can_have_are_refused(client: TestClient) -> None:
    content = json.dumps(blockchain_body.EXAMPLE | {"inputs": [{}] * 200_000}).encode()
    assert post(client, "/predict/raw", content)[0] == 413


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        (b'{"transactions": [1, 1, 1]}', "transactions.0", "expected `object`, got `int`"),
        (b'{"transactions": "text"}', "transactions", "expected `array`, got `str`"),
        (b"[]", "", "expected `object`, got `array`"),
        (b"{}", "transactions", "it is missing"),
    ],
)
def test_a_batch_of_another_shape_is_refused_at_its_first_fault(
    client: TestClient, content: bytes, field: str, message: str
) -> None:
    status, problem = post(client, "/predict/batch", content)
    assert status == 422
    (error,) = problem["errors"]
    assert (error["field"], error["message"], error["value"]) == (field, message, None)


@pytest.mark.parametrize("content", [b"", b"{", b'{"x": NaN, "transactions": []}'])
def test_a_batch_that_is_not_json_is_a_bad_request(client: TestClient, content: bytes) -> None:
    status, problem = post(client, "/predict/batch", content)
    assert status == 400
    assert problem["detail"].startswith("The body is not JSON: ")


@pytest.mark.parametrize("text", ["5000.0", "5e3", "50E+2", "0.5e4"])
def test_a_whole_number_is_an_integer_however_it_is_written(client: TestClient, text: str) -> None:
    usual = post(client, "/predict", json.dumps(EXAMPLE).encode())
    content = with_fee(EXAMPLE, text)
    assert post(client, "/predict", content) == usual
    _, batch = post(client, "/predict/batch", b'{"transactions": [%s], "reasons": "all"}' % content)
    assert batch["predictions"] == [usual[1]]
    raw = json.dumps(blockchain_body.EXAMPLE)
    floats = raw.replace("1000,", "1e3,").replace("225", "225.0")
    assert post(client, "/predict/raw", floats.encode()) == post(
        client, "/predict/raw", raw.encode()
    )


@pytest.mark.parametrize("text", ["5000.5", '"5000"', "true", "1e400", "-5e3", "5e-3"])
def test_what_is_no_whole_number_is_refused(client: TestClient, text: str) -> None:
    content = with_fee(EXAMPLE | {"size": 250.0}, text)
    status, problem = post(client, "/predict", content)
    assert status == 422
    assert [error["field"] for error in problem["errors"]] == ["fee"]
    assert post(client, "/predict/raw", with_fee(blockchain_body.EXAMPLE, text))[0] == 422


@given(st.integers(min_value=-(2**53), max_value=2**53))
def test_a_float_is_read_as_the_integer_of_its_value(number: int) -> None:
    def read(text: str) -> int | str:
        content = with_fee(EXAMPLE, text)
        try:
            return read_transaction(content).fee
        except InvalidBodyError as error:
            return error.detail

    assert read(f"{number}.0") == read(str(number))


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP"])
def test_a_compressed_body_is_refused_with_the_reason(client: TestClient, encoding: str) -> None:
    headers = JSON | {"content-encoding": encoding}
    answer = client.post("/predict", content=b"\x1f\x8b", headers=headers)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    assert "Content-Encoding" in answer.json()["detail"]
    plain = client.post("/predict", json=EXAMPLE, headers={"content-encoding": "identity"})
    assert plain.status_code == 200


class Upload:
    """A caller of a batch that stalls after its first part; `end` cancels it."""

    def __init__(self, app: ASGIApp, part: bytes) -> None:
        self.stalled, self._part = asyncio.Event(), part
        call = Call("/predict/batch", method="POST")
        self.task = asyncio.create_task(send_call(self._stalling(app), call))

    def _stalling(self, app: ASGIApp) -> ASGIApp:
        async def receive() -> Message:
            if self._part:
                part, self._part = self._part, b""
                return {"type": "http.request", "body": part, "more_body": True}
            self.stalled.set()
            await asyncio.Event().wait()
            raise AssertionError("never comes")

        return lambda scope, _, send: app(scope, receive, send)


def test_the_bytes_of_stalled_uploads_are_limited_and_given_back(champion: Champion) -> None:
    settings = ApiSettings(_env_file=None, api_max_held_bytes=10_000)

    async def run() -> tuple[Answer, Answer, Answer]:
        app = application(FixedFollower(champion), settings)
        stalled = [Upload(app, b" " * 4_000) for _ in range(2)]
        for upload in stalled:
            await upload.stalled.wait()
        refused = await Upload(app, b" " * 4_000).task
        small = await send_call(app, Call(body=[json.dumps(EXAMPLE).encode()]))
        for upload in stalled:
            upload.task.cancel()
        await asyncio.gather(*(each.task for each in stalled), return_exceptions=True)
        later = Call("/predict/batch", [b'{"transactions":', b" " * 7_000, b"[]}"])
        return refused, small, await send_call(app, later)

    refused, small, later = asyncio.run(run())
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["detail"].startswith("Too many bytes")
    assert (small.status, later.status) == (200, 200)


class WatchedFollower(FixedFollower):
    """Notes on which threads the champion was asked for."""

    threads: set[str]

    def __getattribute__(self, name: str) -> Any:
        if name == "current":
            self.threads.add(threading.current_thread().name)
        return super().__getattribute__(name)


def test_a_large_body_is_read_and_scored_off_the_event_loop(champion: Champion) -> None:
    threads: set[str] = set()
    WatchedFollower.threads = threads
    app = application(WatchedFollower(champion))
    raw = json.dumps(blockchain_body.EXAMPLE)
    for path, content, on_loop in (
        ("/predict", json.dumps(EXAMPLE), True),
        ("/predict/raw", raw, True),
        ("/predict/raw", raw + " " * MAX_TRANSACTION_BYTES, False),
        ("/predict/batch", '{"transactions": []}', False),
    ):
        threads.clear()
        asyncio.run(send_call(app, Call(path, [content.encode()])))
        (name,) = threads
        assert (name == threading.current_thread().name) is on_loop, path
