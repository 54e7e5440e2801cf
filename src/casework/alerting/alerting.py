"""Alerts: from the members of cases to the receivers of each route.

One thread takes new members into the outbox and follows the file of routes; each route has a thread
that sends; one more sends the daily report. Whatever ends the service, the next start goes on from
the tables.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from casework.alerting.alert_outbox import AlertOutbox
from casework.alerting.digests import Digests
from casework.alerting.receivers import receivers_of
from casework.alerting.route_sender import Clock, Connect, RouteSender, utc_now
from casework.alerting.routes_in_force import RoutesInForce
from casework.case_update import CaseUpdate
from core.background import BackgroundLoop
from core.casework import CaseworkStore
from core.daily_drift import ModelInUse
from core.settings import AlertSettings, variables
from monitoring.alert_metrics import AlertMetrics

_CHECK_SECONDS = 5.0
"""How often the file of routes is looked at, and the table where no listener was called."""


class Alerting:
    """Sends alerts and digests from `start` to `stop`; `on_update` is the listener of cases.

    `lake` is where the daily report is read from, and `model_in_use` as in `Digests`. `connect`
    gives a route's receivers.
    """

    def __init__(
        self,
        store: CaseworkStore,
        lake: str,
        settings: AlertSettings,
        metrics: AlertMetrics,
        model_in_use: Callable[[], ModelInUse | str],
        connect: Connect = receivers_of,
        clock: Clock = utc_now,
    ) -> None:
        self._metrics, self._connect, self._clock = metrics, connect, clock
        self._dashboard = settings.dashboard
        self._outbox = AlertOutbox(store)
        self._in_force = RoutesInForce(settings.alerts_file, variables, metrics)
        self._senders: dict[str, RouteSender] = {}
        self._opened = False
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._digests = Digests(
            *(self._outbox, store, lake, self._dashboard, metrics, connect, clock, model_in_use)
        )
        self.loop = BackgroundLoop("alerts", self._turn, 0.1)
        self.digest_loop = BackgroundLoop("digest", self._send_digest, 30)

    @property
    def loops(self) -> Sequence[BackgroundLoop]:
        """Every loop that runs now."""
        return [self.loop, self.digest_loop, *(sender.loop for sender in self._senders.values())]

    @property
    def problem(self) -> str | None:
        """What is wrong with the file of routes, None where nothing is."""
        return self._in_force.problem

    def on_update(self, _: CaseUpdate) -> None:
        """Look at once at what joined the cases; the table says what it was."""
        self._wake.set()

    def start(self) -> None:
        """Start every thread."""
        for loop in (self.loop, self.digest_loop):
            loop.on_turn = self._metrics.turn_recorder(loop.name)
            loop.start()

    def stop(self, timeout: float) -> None:
        """End every thread after the messages that are being sent, within so many seconds."""
        end = time.monotonic() + timeout
        self._stopped.set()
        self._wake.set()
        stops = [self.loop.stop, self.digest_loop.stop]
        stops += [sender.stop for sender in self._senders.values()]
        for stop in stops:
            stop(0)  # asks all, before it waits for any
        for stop in stops:
            stop(max(end - time.monotonic(), 0))

    def take(self) -> None:
        """Follow the file of routes, and take what joined cases; raises as `AlertOutbox.take`."""
        self._follow_routes()
        if not self._opened:
            self._outbox.open()
            self._opened = True
        routes = self._in_force.routes.routes
        while (alerts := self._outbox.take(routes, self._clock())) is not None:
            for alert in alerts:
                self._metrics.alerts.labels(alert["severity"], "created").inc()
            for name in {alert["route"] for alert in alerts}:
                self._senders[name].wake()

    def _turn(self) -> None:
        self._wake.clear()
        try:
            self.take()
        except Exception:
            self._stopped.wait(_CHECK_SECONDS)
            raise
        if not self._stopped.is_set():
            self._wake.wait(_CHECK_SECONDS)

    def _follow_routes(self) -> None:
        """Let the senders be those of the file."""
        if not self._in_force.refresh():
            return
        routes: Mapping[str, object] = {r.name: r for r in self._in_force.routes.routes}
        for name in self._senders.keys() - routes.keys():
            sender = self._senders.pop(name)
            sender.stop(_CHECK_SECONDS)
            self._metrics.remove_route(name, sender.loop.name)
        for route in self._in_force.routes.routes:
            if route.name in self._senders:
                self._senders[route.name].use(route)
                continue
            sender = RouteSender(
                route, self._outbox, self._dashboard, self._metrics, self._connect, self._clock
            )
            self._senders[route.name] = sender
            sender.start()

    def _send_digest(self) -> None:
        if self._opened:
            self._digests.send_due(self._in_force.routes)
