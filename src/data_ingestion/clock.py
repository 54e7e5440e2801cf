"""Time, and being told to stop: passed in, so that a test needs neither sleep nor signal."""

import time
from threading import Event
from typing import Protocol


class StoppedError(Exception):
    """Raised out of a wait when the process is told to stop."""


class Clock(Protocol):
    """What ingestion knows of time."""

    def time(self) -> float:
        """Unix time in seconds."""

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""

    def wait(self, seconds: float) -> None:
        """Let time pass; raises `StoppedError` when told to stop before or meanwhile."""

    @property
    def stopping(self) -> bool:
        """Whether the process was told to stop."""


class SystemClock:
    """The machine's clock; `stop` ends every wait."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop

    def time(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment, never going back."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Let time pass; raises `StoppedError` when told to stop before or meanwhile."""
        if self._stop.wait(max(seconds, 0)):
            raise StoppedError

    @property
    def stopping(self) -> bool:
        """Whether the process was told to stop."""
        return self._stop.is_set()
