"""Services start and stop together and leave no process, shown with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from local.supervisor import Service, Supervisor
from tests.support.ingestion_processes import wait_for

from core.settings import ROOT

FOREVER = "exec sleep 600"
GRANDCHILD = 'python3 -c \'import os; os.setpgid(0, 0); os.execvp("sleep", ["sleep", "600"])\''


def supervise(logs: Path, **commands: str) -> Supervisor:
    services = [Service(n, c, lambda: True, n == "needed") for n, c in commands.items()]
    supervisor = Supervisor(services, os.environ, logs)
    supervisor.start()
    return supervisor


def wait_until_ended(supervisor: Supervisor) -> str:
    deadline = time.monotonic() + 20
    while (ended := supervisor.ended()) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ended is not None
    return ended


def wait_until_holds(log: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert text in log.read_text()


@pytest.fixture(autouse=True)
def no_process_stays() -> Iterator[None]:
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    yield
    left = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "600"]]
    assert not left
    assert {p.pid for p in psutil.Process().children(recursive=True)} <= before


def test_one_that_dies_is_named_with_its_last_lines(tmp_path: Path) -> None:
    supervisor = supervise(tmp_path, good=FOREVER, bad="echo no disk; exit 3")
    assert wait_until_ended(supervisor) == "bad"
    assert supervisor.failure_report("bad").startswith(
        "bad ended with exit code 3; its last lines:\n    no disk\n"
    )
    supervisor.stop()


def test_no_grandchild_stays_even_in_a_group_of_its_own(tmp_path: Path) -> None:
    supervisor = supervise(tmp_path, parent=f"{GRANDCHILD} & echo up; {FOREVER}")
    wait_until_holds(tmp_path / "parent.log", "up")
    supervisor.stop()


def test_one_that_ignores_the_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.supervisor.GRACE_SECONDS", 0.5)
    supervisor = supervise(tmp_path, deaf="trap '' TERM; echo up; sleep 600; sleep 600")
    wait_until_holds(tmp_path / "deaf.log", "up")
    supervisor.stop()


def test_a_service_that_others_need_stops_last(tmp_path: Path) -> None:
    order = tmp_path / "order"
    command = "trap 'echo {0} >> {1}; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    supervisor = supervise(
        tmp_path,
        needed=command.format("needed", order),
        needing=command.format("needing", order),
    )
    for name in ("needed", "needing"):
        wait_until_holds(tmp_path / f"{name}.log", "up")
    supervisor.stop()
    assert order.read_text().split() == ["needing", "needed"]


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    for text in ("first", "second"):
        supervisor = supervise(tmp_path, one=f"echo {text}; {FOREVER}")
        wait_until_holds(tmp_path / "one.log", text)
        supervisor.stop()
    assert (tmp_path / "one.log.1").read_text() == "first\n"


STACK = """
import os, sys, time
from pathlib import Path
from local.supervisor import Service, Supervisor
commands = {"one": "exec sleep 600", "two": sys.argv[2] + " & exec sleep 600"}
services = [Service(name, command, lambda: True) for name, command in commands.items()]
Supervisor(services, os.environ, Path(sys.argv[1])).start()
print(os.getpid(), flush=True)
time.sleep(600)
"""


def sleepers() -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "600"]]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_kill_9_of_the_stack_ends_its_services_and_their_children(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STACK, str(tmp_path), GRANDCHILD],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as stack:
        assert stack.stdout is not None
        stack.stdout.readline()
        wait_for(lambda: len(sleepers()) == 3)
        started = psutil.Process(stack.pid).children(recursive=True)
        os.killpg(stack.pid, signal.SIGKILL)
    wait_for(lambda: not alive([*started, *sleepers()]))
