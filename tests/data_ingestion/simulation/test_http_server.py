"""Deliveries over real sockets: what a client sees of a good one and of a bad one."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from data_ingestion.simulation.http_server import (
    Answer,
    Delivery,
    SimulatorServer,
    json_answer,
    listen,
)

BODY = b'{"txs":[' + b"1" * 2_000 + b"]}"
ANSWERS = {
    "/good": Answer(200, BODY),
    "/busy": Answer(429, b"later", "text/plain", retry_after=7),
    "/slow": Answer(200, BODY, delivery=Delivery.SLOW, seconds=0.4),
    "/truncated": Answer(200, BODY, delivery=Delivery.TRUNCATED),
    "/timeout": Answer(200, BODY, delivery=Delivery.TIMEOUT, seconds=0.4),
    "/forever": Answer(200, BODY, delivery=Delivery.TIMEOUT, seconds=600),
}


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    running = listen("127.0.0.1", 0, lambda _method, target: ANSWERS[target])
    yield running
    running.end()


def get(server: SimulatorServer, path: str, **options: Any) -> requests.Response:
    return requests.get(f"{server.url}{path}", timeout=options.pop("timeout", 10), **options)


def test_a_good_answer_says_that_it_is_simulated(server: SimulatorServer) -> None:
    answer = get(server, "/good")
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["X-Simulated"] == "true"
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Retry-After" not in answer.headers


def test_one_connection_serves_many_requests(server: SimulatorServer) -> None:
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(f"{server.url}/good", timeout=10).content == BODY
            assert session.post(f"{server.url}/good", data=b"x" * 99, timeout=10).content == BODY


def test_a_busy_answer_says_when_to_come_back(server: SimulatorServer) -> None:
    answer = get(server, "/busy")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


def test_a_slow_answer_takes_its_time_and_is_whole(server: SimulatorServer) -> None:
    started = time.monotonic()
    assert get(server, "/slow").content == BODY
    assert time.monotonic() - started > 0.3


def test_a_truncated_answer_breaks_off(server: SimulatorServer) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get(server, "/truncated")


def test_a_timeout_never_answers(server: SimulatorServer) -> None:
    with pytest.raises(requests.exceptions.ReadTimeout):
        get(server, "/forever", timeout=0.2)
    with pytest.raises(requests.exceptions.ConnectionError):
        get(server, "/timeout")


def hang_up(server: SimulatorServer, sent: bytes) -> None:
    """Send these bytes and reset the connection, as a killed client does."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(sent)
        if b"HTTP" in sent:
            client.recv(10)


def wait_until_idle() -> None:
    deadline = time.monotonic() + 10
    while any("process_request_thread" in t.name for t in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("sent", [b"", b"GET ", b"GET /slow HTTP/1.1\r\n\r\n"])
def test_a_client_that_hangs_up_leaves_no_trace(
    server: SimulatorServer, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        hang_up(server, sent)
    wait_until_idle()
    assert get(server, "/good").content == BODY
    assert caplog.text == ""


def test_an_exception_is_logged(server: SimulatorServer, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(requests.exceptions.ConnectionError):
        get(server, "/unheard-of")
    wait_until_idle()
    assert "event=simulator_request_failed client=" in caplog.text
    assert "KeyError" in caplog.text


@pytest.mark.parametrize("length", ["9" * 5_000, "99999999", "-1", "²"])
def test_a_length_that_cannot_be_read_is_refused(
    server: SimulatorServer, length: str, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(f"POST /good HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode("latin-1"))
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")
    wait_until_idle()
    assert caplog.text == ""


def test_a_taken_port_is_an_error(server: SimulatorServer) -> None:
    with pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", server.port, lambda _method, _target: ANSWERS["/good"])


def test_an_answer_is_compact_json() -> None:
    answer = json_answer({"a": [1, 2]}, 201)
    assert (answer.status, answer.body) == (201, b'{"a":[1,2]}')
