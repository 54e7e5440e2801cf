"""Sends what waits for one route, on a thread of its own: a dead receiver delays no other route.

Each step reads from the outbox what waits, so that nothing is in memory but the message in hand. A
message that failed is made anew for the next attempt, with what has come meanwhile; only where one
of several receivers has it already, the others get the very same.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from casework.alerting.alert_outbox import AlertOutbox
from casework.alerting.alert_text import Message, case_message, of_origin, summary_message
from casework.alerting.pacing import Send, Wait, WaitingCase, next_step
from casework.alerting.receivers import NotDeliveredError, Receiver, receivers_of
from casework.alerting.routes_file import Route
from core.background import BackgroundLoop
from monitoring.alert_metrics import AlertMetrics

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0
_LONGEST_WAIT, _PAUSE_AFTER_ERROR = 60.0, 5.0

Clock = Callable[[], datetime]
Connect = Callable[[Route], Sequence[Receiver]]


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class PartlyDelivered:
    """A message, what it tells, and which of the route's receivers have accepted it."""

    def __init__(self, route: Route, message: Message, cases: Sequence[WaitingCase]) -> None:
        self.route, self.message, self.cases = route, message, cases
        self.accepted: set[int] = set()

    def is_bound_to(self, route: Route) -> bool:
        """Whether one of the receivers that a route has now has accepted it."""
        return bool(self.accepted) and self.route == route


class RouteSender:
    """Sends by one route. `use` gives it the route as the file has it now."""

    def __init__(
        self,
        route: Route,
        outbox: AlertOutbox,
        dashboard: str,
        metrics: AlertMetrics,
        connect: Connect = receivers_of,
        clock: Clock = utc_now,
    ) -> None:
        self.route = route
        self._outbox, self._dashboard, self._metrics = outbox, dashboard, metrics
        self._connect, self._clock = connect, clock
        self._in_hand: PartlyDelivered | None = None
        self._unnoted: PartlyDelivered | None = None
        self._pause = _FIRST_PAUSE
        self._wake, self._stopped = threading.Event(), threading.Event()
        self.loop = BackgroundLoop(f"route {route.name}", self._turn, 0)
        metrics.add_route(route.name)

    def start(self) -> None:
        """Start the thread that sends."""
        self.loop.on_turn = self._metrics.turn_recorder(self.loop.name)
        self.loop.start()

    def stop(self, timeout: float | None = None) -> None:
        """End the thread after the message in hand, if it is being sent."""
        self._stopped.set()
        self._wake.set()
        self.loop.stop(timeout)

    def use(self, route: Route) -> None:
        """Send by this route from now on; it has the same name."""
        self.route = route
        self.wake()

    def wake(self) -> None:
        """Look at once at what waits: something new does."""
        self._wake.set()

    def _turn(self) -> None:
        try:
            seconds = self.send_next()
        except Exception:
            self._stopped.wait(_PAUSE_AFTER_ERROR)
            raise
        if self._pause > _FIRST_PAUSE:  # it fails: what is new shortens no pause
            self._stopped.wait(seconds)
        elif not self._stopped.is_set():
            self._wake.wait(seconds)

    def send_next(self) -> float:
        """Send what may be sent now, and return for how many seconds there is nothing to do.

        Raises what the outbox raises; then the next call goes on where this one stopped.
        """
        self._wake.clear()
        if self._unnoted is not None:  # accepted, and it must not be sent again
            self._note(self._unnoted)
        route, now = self.route, self._clock()
        if self._in_hand is None or not self._in_hand.is_bound_to(route):
            backlog = self._outbox.waiting(route, now)
            self._metrics.waiting.labels(route.name).set(backlog.total)
            step = next_step(route, backlog.cases, backlog.sent, now)
            if isinstance(step, Wait):
                return self._seconds_until(step.until, now)
            self._in_hand = self._composed(route, step)
        return self._deliver(route, self._in_hand)

    def _seconds_until(self, until: datetime | None, now: datetime) -> float:
        self._set_right()
        if until is None:
            return _LONGEST_WAIT
        return min(max((until - now) / timedelta(seconds=1), 0.0), _LONGEST_WAIT)

    def _composed(self, route: Route, step: Send) -> PartlyDelivered:
        if step.kind == "alert":
            message = case_message(route.name, step.cases[0], self._dashboard)
        else:
            message = summary_message(route.name, step.cases, self._dashboard)
        return PartlyDelivered(route, of_origin(message, self._outbox.origin), step.cases)

    def _deliver(self, route: Route, in_hand: PartlyDelivered) -> float:
        failed = False
        for number, receiver in enumerate(self._connect(route)):
            if number in in_hand.accepted:
                continue
            try:
                receiver(in_hand.message)
            except NotDeliveredError as error:
                failed = True
                self._fails(route, number, str(error))
            else:
                in_hand.accepted.add(number)
                self._metrics.deliveries.labels(route.name, "delivered").inc()
        if failed:
            pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
            return pause
        if self._pause > _FIRST_PAUSE:
            log.info("event=alerts_delivered_again route=%s", route.name)
        self._set_right()
        self._in_hand, self._unnoted = None, in_hand
        self._note(in_hand)
        return 0.0

    def _note(self, done: PartlyDelivered) -> None:
        now = self._clock()
        self._outbox.note_delivery(self.route.name, done.message, done.cases, now)
        self._unnoted = None
        for case in done.cases:
            outcome = "alone" if case.first_sequence == case.through else "together"
            if done.message.kind == "summary":
                outcome = "summary"
            self._metrics.alerts.labels(case.severity, outcome).inc()
            self._metrics.delay.observe((now - case.first_at).total_seconds())

    def _fails(self, route: Route, number: int, reason: str) -> None:
        self._metrics.deliveries.labels(route.name, "failed").inc()
        if self._pause == _FIRST_PAUSE:
            self._metrics.failing_since.labels(route.name).set(self._clock().timestamp())
        log.warning(
            "event=alert_not_delivered route=%s receiver=%d retry_seconds=%g reason=%s",
            *(route.name, number + 1, self._pause, reason),
        )

    def _set_right(self) -> None:
        self._pause = _FIRST_PAUSE
        self._metrics.failing_since.labels(self.route.name).set(0)
