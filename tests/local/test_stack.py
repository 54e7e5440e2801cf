"""The launcher says what is wrong in a sentence, before anything starts or with the last lines."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from local.ports import ports
from local.stack import lock

from core.settings import ROOT

pytestmark = pytest.mark.stack


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    holders = {name: socket.socket() for name in ports()}
    for holder in holders.values():
        holder.bind(("127.0.0.1", 0))
    free = {name: str(holder.getsockname()[1]) for name, holder in holders.items()}
    for holder in holders.values():
        holder.close()
    return dict(os.environ) | free | {"DATA_DIR": str(tmp_path)}


def demo(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.stack", "demo"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def taken(environment: dict[str, str]) -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", int(environment["API_PORT"])))
        holder.listen()
        yield int(environment["API_PORT"])


def test_a_taken_port_is_said_before_anything_starts(
    java: None, environment: dict[str, str], taken: int, tmp_path: Path
) -> None:
    run = demo(environment)
    assert run.returncode == 1
    assert run.stderr.splitlines() == [
        f"Port {taken} is taken: stop what listens there or set API_PORT to a free port."
    ]
    assert not list(tmp_path.iterdir())


def test_no_java_is_said_before_anything_starts(
    environment: dict[str, str], tmp_path: Path
) -> None:
    run = demo(environment | {"PATH": str(tmp_path)})
    assert run.returncode == 1
    assert "Java is not installed, but 17 is needed" in run.stderr
    assert not list(tmp_path.iterdir())


def test_a_setting_out_of_its_bounds_is_said_before_anything_starts(
    environment: dict[str, str], tmp_path: Path
) -> None:
    run = demo(environment | {"WORKERS": "0"})
    assert run.returncode == 1
    assert run.stderr.startswith("WORKERS is 0: input should be greater than or equal to 1;")
    assert not list(tmp_path.iterdir())


def test_one_that_dies_stops_the_rest_and_its_last_lines_are_shown(
    java: None, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mlflow").write_text("where its folder should be")
    run = demo(environment)
    assert run.returncode == 1
    assert "mlflow ended with exit code 1; its last lines:" in run.stderr
    assert "NotADirectoryError" in run.stderr
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "environ"])
        if (process.info["environ"] or {}).get("DATA_DIR", "").startswith(str(tmp_path))
    ]
    assert not left


def test_a_second_stack_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with lock(tmp_path), pytest.raises(SystemExit, match="Another stack runs on"):
        lock(tmp_path)
    with lock(tmp_path):
        pass
