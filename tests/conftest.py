"""The real parts that tests share: a Kafka broker and an MLflow server, each started once."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from local import jars
from local.broker import Broker
from local.ports import free_port
from local.tracking import ENVIRONMENT, Tracking

from core.settings import MlflowSettings
from core.topics import ensure_topics


def missing(reason: str) -> None:
    """Skip on a machine that lacks a part; on CI nothing may be skipped."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@contextmanager
def process(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own; none of the group outlives the block."""
    with log.open("wb") as output:
        running = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | (environment or {}),
            start_new_session=True,
        )
    try:
        yield running
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        try:
            running.wait(20)
        finally:
            kill_group(running.pid)


def kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def wait_until(
    ready: Callable[[], bool], running: subprocess.Popen[bytes], log: Path, seconds: float = 120
) -> None:
    """Wait for a process to be ready; fail with the end of its log when it dies or is too slow."""
    deadline = time.monotonic() + seconds
    while not ready():
        if running.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"not ready:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.2)


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="session")
def java() -> None:
    """Java 17 and the resolved jars."""
    if shutil.which("java") is None:
        missing("Java 17 is not installed")
    if not jars.complete():
        missing("the jars are not there: run `make install`")


@pytest.fixture(scope="session")
def broker(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real broker with the project's topics; its bootstrap servers."""
    folder = tmp_path_factory.mktemp("kafka")
    kafka = Broker(folder, free_port(), free_port())
    kafka.prepare()
    servers, log = f"localhost:{kafka.port}", folder / "broker.log"
    with process(kafka.command(), log) as running:
        # kafka-python leaks its socket where nobody listens yet: ask it only afterwards
        wait_until(lambda: accepts(kafka.port), running, log)
        ensure_topics(servers, partitions=2)
        yield servers


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server with an empty registry; its tracking URI."""
    folder = tmp_path_factory.mktemp("mlflow")
    server = Tracking(folder, free_port(), MlflowSettings().mlflow_allowed_hosts)
    uri, log = f"http://localhost:{server.port}", folder / "server.log"
    with process(server.command(), log, ENVIRONMENT) as running:
        wait_until(lambda: answers(f"{uri}/health"), running, log)
        yield uri


@pytest.fixture
def lake(tmp_path: Path) -> str:
    """An empty lake of the test's own."""
    return str(tmp_path / "lake")
