"""Run the whole stack on this machine, without Docker, until Ctrl-C.

python -m local.stack demo      simulated transactions, data in DATA_DIR/demo
python -m local.stack live      Blockchain.com's, data in DATA_DIR/live
"""

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from types import FrameType
from typing import TextIO

from pydantic import ValidationError

from core.settings import ROOT, DataSettings, classes
from local import jars, preflight
from local.ports import ports
from local.services import environment, first_score, services, urls
from local.supervisor import Supervisor

READY_SECONDS = 180


class Stack:
    """The services of one mode, from their start to the last of them stopped."""

    def __init__(self, mode: str, data: Path) -> None:
        self._services = services(mode)
        self._supervisor = Supervisor(self._services, environment(mode, data), data / "logs")
        self._scored = first_score(data, mode)
        self._begun = time.monotonic()
        self._asked = False

    def ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Handle SIGINT, SIGTERM and SIGHUP: stop as soon as the loop comes round."""
        self._asked = True

    def run(self) -> int:
        """Start, report, wait; return the exit code: 0 when asked to stop, 1 when a part failed."""
        self._supervisor.start()
        try:
            return self._run()
        finally:
            print("stopping ...", flush=True)
            self._supervisor.stop()

    def _run(self) -> int:
        for service in self._services:
            if not self._await(service.name, service.ready):
                return self._verdict(service.name)
        print(f"\n{urls()}\n\nCtrl-C stops everything.\n", flush=True)
        self._await("first score", self._scored, limit=inf)
        while self._healthy():
            time.sleep(0.2)
        return self._verdict(None)

    def _await(self, name: str, ready: Callable[[], bool], limit: float = READY_SECONDS) -> bool:
        while self._healthy():
            if ready():
                print(f"  {name:<12} after {self._seconds():5.1f} s", flush=True)
                return True
            if self._seconds() > limit:
                return False
            time.sleep(0.2)
        return False

    def _seconds(self) -> float:
        return time.monotonic() - self._begun

    def _healthy(self) -> bool:
        return not self._asked and self._supervisor.ended() is None

    def _verdict(self, slow: str | None) -> int:
        if self._asked:
            return 0
        failed = self._supervisor.ended() or slow
        if failed is not None:
            print(self._supervisor.obituary(failed), file=sys.stderr, flush=True)
        return 1


def lock(data: Path) -> TextIO:
    """Keep the data folder for this stack alone; exits with a sentence when another has it."""
    data.mkdir(parents=True, exist_ok=True)
    held = (data / "lock").open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        sys.exit(f"Another stack runs on {data}: stop it, or set DATA_DIR to another folder.")
    return held


def settings_problems() -> list[str]:
    """Say which variables hold what their setting cannot be."""
    problems = []
    for settings in classes():
        try:
            settings()
        except ValidationError as error:
            problems += [
                f"{str(e['loc'][0]).upper()} is {e['input']}: {e['msg'].lower()}; set it "
                "in the environment or .env, as .env.example says."
                for e in error.errors()
            ]
    return problems


def check(mode: str) -> None:
    """Exit with a sentence for everything that would keep the stack from starting."""
    preflight.refuse(settings_problems())
    wanted = ports()
    if mode == "live":
        del wanted["SIMULATOR_PORT"]
    if shutil.which("prometheus") is None:
        del wanted["PROMETHEUS_PORT"]
    preflight.refuse(
        [
            preflight.python_problem(),
            preflight.java_problem(preflight.java_version()),
            None if jars.complete() else "The jars are not there: run make install.",
            *preflight.port_problems(wanted),
        ]
    )


def main() -> None:
    """Check, start, print the URLs, and stop everything at the end."""
    mode = sys.argv[1]
    os.chdir(ROOT)
    check(mode)
    data = DataSettings().data_dir.resolve() / mode
    with lock(data):
        stack = Stack(mode, data)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stack.ask_to_stop)
        code = stack.run()
    sys.exit(code)


if __name__ == "__main__":
    main()
