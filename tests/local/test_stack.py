"""The launcher reports what is wrong in a sentence, before anything starts or with a log's end."""

import io
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from local.ports import free_ports, ports
from local.stack import Stack, lock
from local.supervisor import Service
from prometheus_client import CollectorRegistry
from tests.support.ingestion_fakes import FakeClock

from core.settings import ROOT
from core.unfinished_restore import RESTORING
from data_ingestion.source_health import HealthServer, SourceHealth
from monitoring.producer_metrics import ProducerMetrics

pytestmark = pytest.mark.stack


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    names = ports()
    free = dict(zip(names, map(str, free_ports(len(names))), strict=True))
    return dict(os.environ) | free | {"DATA_DIR": str(tmp_path)}


def demo(environment: dict[str, str], mode: str = "demo") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.stack", mode],
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


def test_a_taken_port_is_reported_before_anything_starts(
    java: None, environment: dict[str, str], taken: int, tmp_path: Path
) -> None:
    run = demo(environment)
    assert run.returncode == 1
    first, second = run.stderr.splitlines()
    assert first.startswith(f"Port {taken} is taken by process {os.getpid()} (")
    assert first.endswith(f"end it with kill {os.getpid()} or set API_PORT to a free port.")
    assert second == (
        "If another stack runs, start this one beside it: "
        "PORT_OFFSET=10000 DATA_DIR=data/second make demo"
    )
    assert not list(tmp_path.iterdir())


def test_no_java_is_reported_before_anything_starts(
    environment: dict[str, str], tmp_path: Path
) -> None:
    run = demo(environment | {"PATH": str(tmp_path)})
    assert run.returncode == 1
    assert "Java is not installed, but 17 is needed" in run.stderr
    assert not list(tmp_path.iterdir())


def test_a_setting_out_of_its_bounds_is_reported_before_anything_starts(
    environment: dict[str, str], tmp_path: Path
) -> None:
    run = demo(environment | {"WORKERS": "0"})
    assert run.returncode == 1
    assert run.stderr.startswith("WORKERS is 0: input should be greater than or equal to 1;")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_restore_is_reported_before_anything_starts(
    java: None, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "demo" / "lake").mkdir(parents=True)
    (tmp_path / "demo" / "lake" / RESTORING).touch()
    run = demo(environment)
    assert (run.returncode, run.stderr) == (
        1,
        f"A restore into {tmp_path}/demo was interrupted: run it again (make restore FILE=...).\n",
    )
    assert not (tmp_path / "demo" / "logs").exists()


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


@pytest.mark.parametrize(("offset", "shift"), [("0", ""), ("10000", "PORT_OFFSET=10000 ")])
def test_a_second_stack_on_the_same_data_is_refused_with_the_command_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: str, shift: str
) -> None:
    monkeypatch.setenv("PORT_OFFSET", offset)
    with lock(tmp_path, "demo"), pytest.raises(SystemExit) as refusal:
        lock(tmp_path, "demo")
    assert str(refusal.value) == (
        f"Another stack uses {tmp_path}: stop it, or set DATA_DIR to another folder: "
        f"{shift}DATA_DIR=data/second make demo"
    )
    with lock(tmp_path, "demo"):
        pass


@pytest.mark.parametrize("mode", ["dmeo", ""])
def test_a_wrong_mode_is_reported_in_a_sentence(environment: dict[str, str], mode: str) -> None:
    run = demo(environment, mode)
    assert (run.returncode, run.stderr) == (
        1,
        f"'{mode}' is no mode of the stack: it is demo (simulated transactions) or live "
        "(Blockchain.com's), as in python -m local.stack demo.\n",
    )


def test_an_invalid_offset_is_reported_once(environment: dict[str, str]) -> None:
    run = demo(environment | {"PORT_OFFSET": "-1"})
    assert run.returncode == 1
    (problem,) = run.stderr.splitlines()
    assert problem.startswith("PORT_OFFSET is -1: ")


class ClosedTerminal(io.StringIO):
    """What stdout is once its terminal is gone."""

    def write(self, _text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_closed_terminal_does_not_keep_the_services_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Service("one", "exec sleep 600", lambda: False)
    monkeypatch.setattr("local.stack.services", lambda _mode: [one])
    stack = Stack("demo", tmp_path)
    monkeypatch.setattr("sys.stdout", ClosedTerminal())
    stack.request_stop(1, None)
    assert stack.run() == 0
    assert not [p for p in psutil.Process().children() if p.cmdline() == ["sleep", "600"]]


def test_a_silent_source_is_reported_once_with_reason_and_remedy_and_its_return_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, registry = FakeClock(), CollectorRegistry()
    source = SourceHealth(120, clock, ProducerMetrics(registry))
    server = HealthServer(registry, source)
    port = server.start("127.0.0.1", 0)
    monkeypatch.setenv("PRODUCER_METRICS_PORT", str(port))
    monkeypatch.delenv("PORT_OFFSET", raising=False)
    monkeypatch.setattr("local.stack.SOURCE_SECONDS", 0)
    stack = Stack("live", tmp_path)
    stack._report_source()
    assert capsys.readouterr().out == ""
    for path in ("latestblock", "unconfirmed"):
        source.failed("connection", f"https://blockchain.info/{path}: name not known")
        stack._report_source()
    said = capsys.readouterr().out
    assert said.count("The source of transactions has not answered since ") == 1
    assert "why:  https://blockchain.info/latestblock: name not known\n" in said
    assert "set HTTPS_PROXY=http://host:port" in said
    source.answered()
    stack._report_source()
    assert capsys.readouterr().out == "The source of transactions answers.\n\n"
    server.stop()
    stack._report_source()
    assert capsys.readouterr().out == ""
