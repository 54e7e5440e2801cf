"""Processes that a test starts: run in a group, waited for, ended with all their children."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


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
        end_group(running)


def end_group(running: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and kill what is left of its group."""
    send_to_group(running.pid, signal.SIGTERM)
    try:
        running.wait(20)
    finally:
        kill_group(running.pid)


def kill_group(group: int) -> None:
    send_to_group(group, signal.SIGKILL)


def send_to_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group, which may have ended."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def wait_until(
    ready: Callable[[], bool], running: subprocess.Popen[bytes], log: Path, seconds: float = 120
) -> None:
    """Wait for a process to be ready; fail with the end of its log when it dies or is too slow."""
    deadline = time.monotonic() + seconds
    while not ready():
        if running.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"not ready:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.2)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@dataclass
class Part:
    """A process of a group of its own that can be killed and started again."""

    command: list[str]
    log: Path
    environment: Mapping[str, str]
    folder: Path | None = None
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Start it where it does not run."""
        if self.running is not None and self.running.poll() is None:
            return self.running
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=os.environ | self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.running

    def kill(self) -> None:
        """End it with its children as the kernel would."""
        if self.running is not None:
            kill_group(self.running.pid)
            self.running.wait()

    def end(self) -> None:
        if self.running is not None:
            end_group(self.running)


def daemon(door: Path, log: Path, settings: Mapping[str, str]) -> Part:
    """A service that is started by its door, in the door's folder."""
    return Part([sys.executable, door.name], log, settings, door.parent)
