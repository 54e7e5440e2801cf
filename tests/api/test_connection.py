"""What a connection may send before it is a request and after its answer, through a real server."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from tests.support.api_application import FixedFollower, application
from tests.support.api_process import served

from api import connection
from api.connection import MAX_HEAD_BYTES
from core.detector.champion import Champion


@pytest.fixture
def url(champion: Champion, tmp_path: Path) -> Iterator[str]:
    with served(application(FixedFollower(champion)), tmp_path / "log") as url:
        yield url


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_WAIT_SECONDS", 0.3)


def connected(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), 30)


def answer_to_trickle(open_connection: socket.socket) -> bytes:
    """Send a byte at a time until the server closes; what it has answered."""
    received, deadline = b"", time.monotonic() + 30
    open_connection.settimeout(0.02)
    while time.monotonic() < deadline:
        try:
            open_connection.sendall(b"a")
            part = open_connection.recv(4_000)
        except TimeoutError:
            continue
        except OSError:
            return received
        if not part:
            return received
        received += part
    raise AssertionError("the server never closed the connection")


@pytest.mark.parametrize("head", [b"GET /hea", b"GET /health HTTP/1.1\r\nX: "])
def test_a_head_that_trickles_is_ended(impatient: None, url: str, head: bytes) -> None:
    with connected(url) as trickling:
        trickling.sendall(head)
        assert answer_to_trickle(trickling) == b""


def test_the_body_of_a_refused_request_that_trickles_is_ended(impatient: None, url: str) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n"
    with connected(url) as trickling:
        trickling.sendall(head)
        assert answer_to_trickle(trickling).startswith(b"HTTP/1.1 413 ")


def test_a_head_that_is_too_large_is_refused(url: str) -> None:
    with connected(url) as large:
        large.sendall(b"GET /health HTTP/1.1\r\nX: ")
        received = b""
        try:
            for _ in range(100):
                large.sendall(b"a" * (MAX_HEAD_BYTES // 8))
        except OSError:
            pass  # it is closed for writing as soon as the limit is passed
        try:
            received = large.recv(4_000)
        except ConnectionResetError:
            return
    assert received.startswith(b"HTTP/1.1 400 ") or not received


def test_an_ordinary_connection_is_kept(impatient: None, url: str) -> None:
    with connected(url) as kept:
        for _ in range(3):
            kept.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert kept.recv(4_000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/docs", "/model"])
def test_head_is_answered_as_get_without_a_body(url: str, path: str) -> None:
    head, get = (requests.request(m, url + path, timeout=10) for m in ("HEAD", "GET"))
    assert head.status_code == get.status_code == 200
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.content == b"" and get.content


def test_head_of_what_only_takes_a_body_names_the_method(url: str) -> None:
    answer = requests.head(f"{url}/predict", timeout=10)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
