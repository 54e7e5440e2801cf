"""Run several services together, each with its output in a file, and stop all their processes.

Each service leads its own session. SIGTERM asks it to stop; what is left of its session after that
is killed, so that no grandchild (a JVM, a worker) stays. `local.watcher` does the same when this
process is killed before it can.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from honcho.process import Popen

from core.settings import ROOT

GRACE_SECONDS = 20
LAST_LINES = 15


@dataclass(frozen=True)
class Service:
    """A command, a probe whether it is ready, and whether it stops after those that need it."""

    name: str
    command: str
    ready: Callable[[], bool]
    stop_last: bool = False


class Supervisor:
    """Starts the services, notices when one ends, stops them; `logs` has a file for each."""

    def __init__(
        self, services: Sequence[Service], environment: Mapping[str, str], logs: Path
    ) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._environment = environment
        self._services = services
        self._logs = logs
        self._processes: dict[str, Popen] = {}
        self._watcher: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start every service; the log of the run before becomes `NAME.log.1`."""
        watcher = self._watcher = subprocess.Popen(
            [sys.executable, "-m", "local.watcher"],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert watcher.stdin is not None
        for service in self._services:
            log_path = self._log(service.name)
            if log_path.exists():
                log_path.replace(log_path.with_suffix(".log.1"))
            with log_path.open("wb") as log:
                self._processes[service.name] = Popen(
                    service.command, env=self._environment, stdout=log
                )
            print(self._processes[service.name].pid, file=watcher.stdin, flush=True)

    def ended(self) -> str | None:
        """The name of a service that has ended, if any."""
        return next((n for n, p in self._processes.items() if p.poll() is not None), None)

    def failure_report(self, name: str) -> str:
        """How a service ended, or that it is not ready, with the last lines of its log."""
        code = self._processes[name].poll()
        state = "is not ready" if code is None else f"ended with exit code {code}"
        log = self._log(name)
        last = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        lines = "".join(f"    {line}\n" for line in last)
        return f"{name} {state}; its last lines:\n{lines}    all of them: {log}"

    def stop(self) -> None:
        """Stop every service, those with `stop_last` last; returns when no process is left."""
        for last in (False, True):
            names = [s.name for s in self._services if s.stop_last is last]
            running = [self._processes[name] for name in names if name in self._processes]
            for process in running:
                process.terminate()
            deadline = time.monotonic() + GRACE_SECONDS
            while any(p.poll() is None for p in running) and time.monotonic() < deadline:
                time.sleep(0.05)
            kill_sessions({process.pid for process in running})
            for process in running:
                process.wait()
        if self._watcher is not None:
            self._watcher.kill()  # nothing is left for it to stop
            self._watcher.communicate()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def kill_sessions(sessions: set[int]) -> None:
    """Kill every process of these sessions, and wait for their ends."""
    left = [process for process in psutil.process_iter() if _session(process.pid) in sessions]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=GRACE_SECONDS)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
