"""The service as a process: how it starts, stops and counts with several workers."""

import json
import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest
import requests
from tests.support.api_process import ApiProcess, api_process, wait_for

from api.schemas import EXAMPLE

pytestmark = pytest.mark.slow

UVICORN = [sys.executable, "-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port", "{port}"]
NOWHERE = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "API_MODEL_POLL_SECONDS": "600"}
CONTENT = json.dumps(EXAMPLE).encode()


def worker_of(connection: socket.socket) -> int:
    """The process at the other end of a connection."""
    ends = (connection.getpeername()[1], connection.getsockname()[1])
    for other in psutil.net_connections("tcp"):
        here, there = tuple(other.laddr), tuple(other.raddr)
        if other.pid and (here[1:], there[1:]) == (ends[:1], ends[1:]):
            return other.pid
    raise AssertionError("no process has the connection")


def half_sent(api: ApiProcess) -> socket.socket:
    """A request in flight, of whose body a part has arrived."""
    connection = socket.create_connection(("127.0.0.1", int(api.url.rsplit(":", 1)[1])), 30)
    head = (
        "POST /predict HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(CONTENT)}\r\n\r\n"
    )
    connection.sendall(head.encode() + CONTENT[:40])
    wait_for(lambda: api.metric("bitcoin_api_requests_in_flight ") == 1, api.log)
    return connection


@pytest.mark.parametrize("command", [None, UVICORN], ids=["alone", "uvicorn"])
def test_it_runs_from_its_folder_and_finishes_requests_before_it_stops(
    tmp_path: Path, command: list[str] | None
) -> None:
    with api_process(tmp_path, NOWHERE, command) as api:
        connection = half_sent(api)
        api.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "Shutting down" in api.log.read_text(), api.log)
        assert api.process.poll() is None
        connection.sendall(CONTENT[40:])
        assert b"200 OK" in connection.recv(4_000)
        connection.close()
        code = api.process.wait(30)
        assert code == (0 if command is None else -signal.SIGTERM)
        assert "POST /predict HTTP" not in api.log.read_text()  # no access log unless asked for


def test_the_access_log_can_be_asked_for(tmp_path: Path) -> None:
    with api_process(tmp_path, NOWHERE | {"API_ACCESS_LOG": "true"}) as api:
        wait_for(lambda: "GET /health HTTP" in api.log.read_text(), api.log)
        assert api.stop() == 0


def test_several_workers_count_together_and_one_that_dies_is_forgotten(tmp_path: Path) -> None:
    with api_process(tmp_path, NOWHERE | {"WORKERS": "2"}) as api:
        before = api.metric('bitcoin_api_requests_total{route="/predict",status="200"}')
        for _ in range(40):
            assert api.predict().status_code == 200
        counted = 'bitcoin_api_requests_total{route="/predict",status="200"}'
        wait_for(lambda: api.metric(counted) == before + 40, api.log)
        assert api.metric('bitcoin_api_request_seconds_count{route="/predict"}') == before + 40
        workers = [child.pid for child in psutil.Process(api.process.pid).children()]
        started = max(psutil.Process(each).create_time() for each in workers)
        assert api.metric("process_start_time_seconds") == pytest.approx(started, abs=1)
        connection = half_sent(api)
        api.process.send_signal(signal.SIGSTOP)  # its parent does not notice that it dies
        os.kill(worker_of(connection), signal.SIGKILL)
        connection.close()
        wait_for(lambda: api.metric("bitcoin_api_requests_in_flight ") == 0, api.log)
        assert api.metric(counted) == before + 40
        api.process.send_signal(signal.SIGCONT)
        wait_for(lambda: requests.get(f"{api.url}/health", timeout=10).ok, api.log)
        assert api.stop() == 0
