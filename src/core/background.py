"""A loop beside the work of a service: it outlives every failure, and one can see that it turns.

A thread that ends by an error ends in silence: the service goes on with what it had. So a failing
turn is logged and counted and the loop goes on; and a loop that hangs, or was never started, is
late, which a probe and an alert can read.

A thread that is within native code (a read of a Delta table) while Python ends crashes the process,
so a loop ends before that, whether or not its service stops it.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable

LATE_SECONDS = 600.0
"""A loop without the end of a turn for so long is late: loading a model takes half of it."""

EXIT_SECONDS = 5.0
"""So long the end of a process waits for a turn."""

log = logging.getLogger(__name__)


class BackgroundLoop:
    """Calls `step` again and again, `pause_seconds` apart, on a thread from `start` to `stop`.

    `last_turn` is the Unix time at which a turn last ended, `failures` counts those that raised,
    and `problem` says why the last one did, None after one that did not. `clock` gives Unix
    seconds. After each turn `on_turn` is told whether it did not raise: metrics count it. A service
    that has its own loop calls `turn` there.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], object],
        pause_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.pause_seconds = name, pause_seconds
        self.last_turn = clock()
        self.failures = 0
        self.problem: str | None = None
        self.on_turn: Callable[[bool], None] = lambda _: None
        self._step, self._clock = step, clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def lateness(self) -> str | None:
        """A sentence when no turn has ended for ten minutes, else None."""
        silent = self._clock() - self.last_turn
        if silent < LATE_SECONDS:
            return None
        return f"the loop {self.name} has not turned for {silent:.0f} s: restart the service"

    def turn(self) -> None:
        """Call `step` once; whatever it raises is logged and counted."""
        try:
            self._step()
        except Exception as error:  # also what nobody foresaw: without its loop a service is frozen
            self.failures += 1
            problem = f"{type(error).__name__}: {error}"
            if problem != self.problem:  # the same failure of every turn is logged once
                log.exception("event=turn_failed loop=%s reason=%s", self.name, problem)
            self.problem = problem
        else:
            if self.problem is not None:
                log.info("event=turn_succeeds_again loop=%s", self.name)
            self.problem = None
        self.last_turn = self._clock()
        self.on_turn(self.problem is None)

    def still_turns(self) -> None:
        """Say within a long turn that it has not hung: it waits for something outside."""
        self.last_turn = self._clock()
        self.on_turn(True)

    def start(self) -> None:
        """Start the thread; its first turn is at once."""
        atexit.register(self.stop, EXIT_SECONDS)
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """End the thread, and wait for the end of its turn, for so many seconds at most."""
        self._stopped.set()
        atexit.unregister(self.stop)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.turn()
            self._stopped.wait(self.pause_seconds)
