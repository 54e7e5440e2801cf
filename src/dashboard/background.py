"""Work that repeats on a thread of its own for as long as the dashboard runs."""

import logging
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic

log = logging.getLogger(__name__)

MISSED_TURNS = 60
"""Seconds beyond its pause after which a loop that has not come round counts as stuck."""


class Loop:
    """Does `action` every `seconds` from `start` to `stop`, whatever it raises.

    `count_failure` is called for each error, and `clock` returns seconds that never step back.
    """

    def __init__(
        self,
        name: str,
        action: Callable[[], object],
        seconds: float,
        count_failure: Callable[[], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.name, self.action, self.seconds = name, action, seconds
        self.count_failure, self.clock = count_failure, clock
        self._turned = clock()
        self._stopped = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    @property
    def stuck(self) -> bool:
        """Whether the action has not come round for a minute more than it should take."""
        return self.clock() - self._turned > self.seconds + MISSED_TURNS

    def start(self) -> None:
        """Begin on a background thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait until it has ended."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.action()
            except Exception:  # without this thread a part of the page would never change again
                log.exception("event=background_failed loop=%s", self.name)
                self.count_failure()
            self._turned = self.clock()
            self._stopped.wait(self.seconds)
