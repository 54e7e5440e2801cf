"""The clock, and the request to stop.

Both are passed to whoever needs them. A test then needs neither sleep nor signal.
"""

import time
from threading import Event
from typing import Protocol


class StoppedError(Exception):
    """Raised out of a wait when the process has to stop."""


class Clock(Protocol):
    """What ingestion needs of time."""

    def time(self) -> float:
        """Unix time in seconds."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment, never going back."""

    def wait(self, seconds: float) -> None:
        """Wait; raises `StoppedError` if the process has to stop before the time is over."""

    @property
    def stopping(self) -> bool:
        """Whether the process has to stop."""


class SystemClock:
    """The machine's clock; setting `stop` ends every wait."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop

    def time(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment, never going back."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait; raises `StoppedError` if the process has to stop before the time is over."""
        if self._stop.wait(max(seconds, 0)):
            raise StoppedError

    @property
    def stopping(self) -> bool:
        """Whether the process has to stop."""
        return self._stop.is_set()
