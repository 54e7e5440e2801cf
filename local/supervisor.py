"""Run several services as one: all of them or none, their output in files, nothing left behind.

Each service is the leader of a session of its own. It is asked to stop by SIGTERM; whatever is
left of its session after that is killed, so that no grandchild (a JVM, a worker) stays.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from honcho.process import Popen

GRACE_SECONDS = 20
LAST_LINES = 15


@dataclass(frozen=True)
class Service:
    """A command, how to see that it serves, and whether the others lean on it (stopped last)."""

    name: str
    command: str
    ready: Callable[[], bool]
    foundation: bool = False


class Supervisor:
    """Starts the services, reports on them, stops them; `logs` holds a file for each."""

    def __init__(
        self, services: Sequence[Service], environment: Mapping[str, str], logs: Path
    ) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._environment = environment
        self._services = services
        self._logs = logs
        self._running: dict[str, Popen] = {}

    def start(self) -> None:
        """Start every service at once: none depends on the order."""
        for service in self._services:
            with _fresh(self._log(service.name)).open("wb") as log:
                self._running[service.name] = Popen(
                    service.command, env=self._environment, stdout=log
                )

    def ended(self) -> str | None:
        """The name of a service that has ended, if any has."""
        return next((n for n, p in self._running.items() if p.poll() is not None), None)

    def obituary(self, name: str) -> str:
        """How a service ended, or that it is not ready, with its last lines."""
        code = self._running[name].poll()
        how = "is not ready" if code is None else f"ended with exit code {code}"
        log = self._log(name)
        last = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        lines = "".join(f"    {line}\n" for line in last)
        return f"{name} {how}; its last lines:\n{lines}    all of them: {log}"

    def stop(self) -> None:
        """End every service, those that others lean on last; return when no process is left."""
        for foundation in (False, True):
            names = [s.name for s in self._services if s.foundation is foundation]
            running = [self._running[name] for name in names if name in self._running]
            for process in running:
                process.terminate()
            deadline = time.monotonic() + GRACE_SECONDS
            while any(p.poll() is None for p in running) and time.monotonic() < deadline:
                time.sleep(0.05)
            _kill_sessions({process.pid for process in running})
            for process in running:
                process.wait()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _fresh(log: Path) -> Path:
    """Keep the log of the run before beside the new one."""
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    return log


def _kill_sessions(sessions: set[int]) -> None:
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
