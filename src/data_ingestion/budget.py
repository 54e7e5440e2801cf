"""How often the source may be asked: one budget for all endpoints, kept across restarts.

At least an interval lies between the moment one request is answered (or fails) and the next one,
which the source sees as no less than the interval. After failures the pause doubles each time, with
jitter, up to a limit; what the source itself asks for (`Retry-After`) is honoured up to a day.
"""

from collections.abc import Callable
from typing import Protocol

from data_ingestion.clock import Clock

_LONGEST_PAUSE = 86_400.0


class Ledger(Protocol):
    """Keeps the moment of the next request; the journal does."""

    next_request: float


class RequestBudget:
    """The pauses between requests, all in seconds; `jitter` gives a number in 0..1."""

    def __init__(
        self,
        interval: float,
        longest_backoff: float,
        clock: Clock,
        ledger: Ledger,
        jitter: Callable[[], float],
    ) -> None:
        self._interval = interval
        self._longest_backoff = longest_backoff
        self._clock = clock
        self._ledger = ledger
        self._jitter = jitter
        self._failures = 0
        left = min(max(ledger.next_request - clock.time(), 0), _LONGEST_PAUSE)
        self._due = clock.monotonic() + left

    def wait(self) -> None:
        """Wait until a request may be made; raises `StoppedError` when told to stop."""
        self._clock.wait(self._due - self._clock.monotonic())
        # Killed before the answer, the next process cannot know when the source was asked.
        self._ledger.next_request = self._clock.time() + 2 * self._interval

    def answered(self) -> None:
        """The source answered: the next request may follow after the interval."""
        self._failures = 0
        self._pause(self._interval)

    def failed(self, retry_after: float | None) -> float:
        """The source failed; returns the pause in seconds before it is asked again."""
        self._failures += 1
        backoff = min(self._interval * 2.0 ** min(self._failures, 30), self._longest_backoff)
        pause = max(self._interval, backoff * (0.5 + self._jitter() / 2), retry_after or 0)
        return self._pause(min(pause, _LONGEST_PAUSE))

    def _pause(self, seconds: float) -> float:
        self._due = self._clock.monotonic() + seconds
        self._ledger.next_request = self._clock.time() + seconds
        return seconds
