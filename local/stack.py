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
from contextlib import suppress
from math import inf
from pathlib import Path
from types import FrameType
from typing import TextIO

from pydantic import ValidationError

from core.settings import ROOT, DataSettings, classes
from core.unfinished_restore import unfinished_restore
from local import jars, preflight
from local.ports import listeners, ports
from local.services import (
    ORIGINS,
    SourceSilence,
    environment,
    has_scores,
    market_sentence,
    services,
    source_silence,
    url_table,
)
from local.supervisor import Supervisor

READY_SECONDS = 180
SOURCE_SECONDS = 5
"""Time between two looks at whether the source answers."""

SECOND_OFFSET = 10_000
"""PORT_OFFSET that is proposed for a stack beside another one."""


class Stack:
    """The services of one mode, from their start until the last of them has stopped."""

    def __init__(self, mode: str, data: Path) -> None:
        self._mode, self._data = mode, data
        self._services = services(mode)
        self._supervisor = Supervisor(self._services, environment(mode, data), data / "logs")
        self._started = time.monotonic()
        self._stop_requested = False
        self._source_looked_at = -inf
        self._source_silence: SourceSilence | None = None

    def request_stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Handle SIGINT, SIGTERM and SIGHUP: `run` stops the services within a second."""
        self._stop_requested = True

    def run(self) -> int:
        """Start, report, wait; the exit code is 0 after a signal and 1 when a service failed."""
        self._supervisor.start()
        try:
            return self._run()
        finally:
            say("stopping ...")
            self._supervisor.stop()

    def _run(self) -> int:
        for service in self._services:
            if not self._wait_until(service.name, service.ready):
                return self._exit_code(service.name)
        if (market := market_sentence(self._mode)) is not None:
            say(f"\n{market}")
        say(f"\n{url_table()}\n\nCtrl-C stops everything.\n")
        self._wait_until("first score", self._has_scores, limit=inf)
        while self._healthy():
            self._report_source()
            time.sleep(0.2)
        return self._exit_code(None)

    def _has_scores(self) -> bool:
        self._report_source()
        return has_scores(self._data, self._mode)

    def _report_source(self) -> None:
        """Say that the source is silent, or answers again; looks every few seconds."""
        now = time.monotonic()
        if now - self._source_looked_at < SOURCE_SECONDS:
            return
        self._source_looked_at = now
        silence = source_silence()
        if silence is not None and silence != self._source_silence:
            say(silence.sentence())
        elif silence is None and self._source_silence is not None:
            say("The source of transactions answers.\n")
        self._source_silence = silence

    def _wait_until(
        self, name: str, ready: Callable[[], bool], limit: float = READY_SECONDS
    ) -> bool:
        while self._healthy():
            seconds = time.monotonic() - self._started
            if ready():
                say(f"  {name:<12} after {seconds:5.1f} s")
                return True
            if seconds > limit:
                return False
            time.sleep(0.2)
        return False

    def _healthy(self) -> bool:
        return not self._stop_requested and self._supervisor.ended() is None

    def _exit_code(self, not_ready: str | None) -> int:
        if self._stop_requested:
            return 0
        failed = self._supervisor.ended() or not_ready
        if failed is not None:
            say(self._supervisor.failure_report(failed), sys.stderr)
        return 1


def say(text: str, to: TextIO | None = None) -> None:
    """Print to a terminal that may be closed: its end stops the stack in order, no `print` may."""
    with suppress(OSError):
        print(text, file=to, flush=True)


def lock(data: Path, mode: str) -> TextIO:
    """Reserve the data folder for this stack; exits with a sentence when another one has it."""
    lock_file = reserve(data)
    if lock_file is None:
        offset = DataSettings().port_offset
        sys.exit(
            f"Another stack uses {data}: stop it, or set DATA_DIR to another folder:"
            f" {_second_stack(mode, offset)}"
        )
    return lock_file


def reserve(data: Path) -> TextIO | None:
    """Reserve the data folder until the file is closed; None where a stack has it."""
    data.mkdir(parents=True, exist_ok=True)
    lock_file = (data / "lock").open("w")
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock_file.close()
        return None
    return lock_file


def _second_stack(mode: str, offset: int) -> str:
    """The command that runs a stack on these ports, in a data folder beside the usual one."""
    shift = f"PORT_OFFSET={offset} " if offset else ""
    return f"{shift}DATA_DIR=data/second make {mode}"


def _interrupted_restore(data: Path) -> str | None:
    """What to do where a restore of this data has begun and has not ended."""
    if unfinished_restore(data / "lake") is None:
        return None
    return f"A restore into {data} was interrupted: run it again (make restore FILE=...)."


def settings_problems() -> list[str]:
    """A sentence for each variable whose value its setting refuses."""
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
    return list(dict.fromkeys(problems))


def check(mode: str) -> None:
    """Exit with a sentence for everything that would keep the stack from starting."""
    preflight.exit_if(settings_problems())
    numbers = ports()
    if mode == "live":
        del numbers["SIMULATOR_PORT"]
    if shutil.which("prometheus") is None:
        del numbers["PROMETHEUS_PORT"]
    beside = _second_stack(mode, DataSettings().port_offset + SECOND_OFFSET)
    preflight.exit_if(
        [
            preflight.python_problem(),
            preflight.java_problem(preflight.java_version()),
            None if jars.complete() else "The jars are absent: run make install.",
            *preflight.port_problems(numbers, beside, listeners()),
        ]
    )


def main() -> None:
    """Check, start, print the URLs, and stop everything at the end."""
    if len(sys.argv) != 2 or sys.argv[1] not in ORIGINS:
        given = " ".join(sys.argv[1:])
        sys.exit(
            f"{given!r} is no mode of the stack: it is demo (simulated transactions) or live "
            "(Blockchain.com's), as in python -m local.stack demo."
        )
    mode = sys.argv[1]
    os.chdir(ROOT)
    check(mode)
    data = DataSettings().data_dir.resolve() / mode
    with lock(data, mode):
        preflight.exit_if([_interrupted_restore(data)])
        stack = Stack(mode, data)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stack.request_stop)
        code = stack.run()
    sys.exit(code)


if __name__ == "__main__":
    main()
