"""When the next request to the source may be made.

All endpoints share one budget, and it survives a restart. At least an interval lies between the end
of one request and the start of the next. After a failure the pause is longer: it doubles with each
failure in a row, with jitter, up to a limit. A pause that the source asks for (`Retry-After`) is
kept up to a day.
"""

from collections.abc import Callable
from typing import Protocol

from data_ingestion.clock import Clock

_LONGEST_PAUSE = 86_400.0


class NextRequestStore(Protocol):
    """Stores the Unix time of the next request; the journal is one."""

    next_request: float


class RequestBudget:
    """Waits before a request for as long as the last answer demands.

    Times are in seconds; `jitter` returns a number in 0..1.
    """

    def __init__(
        self,
        interval: float,
        longest_backoff: float,
        clock: Clock,
        store: NextRequestStore,
        jitter: Callable[[], float],
    ) -> None:
        self._interval = interval
        self._longest_backoff = longest_backoff
        self._clock = clock
        self._store = store
        self._jitter = jitter
        self._failures = 0
        remaining = min(max(store.next_request - clock.time(), 0), _LONGEST_PAUSE)
        self._due = clock.monotonic() + remaining

    def wait(self) -> None:
        """Wait until a request may be made; raises `StoppedError`."""
        self._clock.wait(self._due - self._clock.monotonic())
        # If the process is killed before the answer, the next one does not know when the request
        # reached the source: it waits for two intervals.
        self._store.next_request = self._clock.time() + 2 * self._interval

    def answered(self) -> None:
        """The source answered: the next request may follow after the interval."""
        self._failures = 0
        self._pause(self._interval)

    def failed(self, retry_after: float | None) -> float:
        """The request failed; returns the pause in seconds before the next one.

        `retry_after` is the pause that the source asks for, in seconds.
        """
        self._failures += 1
        backoff = min(self._interval * 2.0 ** min(self._failures, 30), self._longest_backoff)
        pause = max(self._interval, backoff * (0.5 + self._jitter() / 2), retry_after or 0)
        return self._pause(min(pause, _LONGEST_PAUSE))

    def _pause(self, seconds: float) -> float:
        self._due = self._clock.monotonic() + seconds
        self._store.next_request = self._clock.time() + seconds
        return seconds
