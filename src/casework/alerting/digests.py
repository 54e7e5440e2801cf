"""Sends the daily report by its routes: once a day, at its hour or as soon after it as it can."""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

from casework.alerting.alert_outbox import AlertOutbox
from casework.alerting.alert_text import Message, of_origin
from casework.alerting.receivers import NotDeliveredError, Receiver
from casework.alerting.route_sender import Clock, Connect
from casework.alerting.routes_file import Digest, Route, Routes
from core.casework import CaseworkStore
from core.daily_drift import ModelInUse
from core.daily_report import DailyReport, daily_report
from core.report_text import as_text
from monitoring.alert_metrics import AlertMetrics

log = logging.getLogger(__name__)

LATEST = timedelta(hours=12)
"""So long after its hour a digest is still sent, where the service or its receiver was down."""


def due_time(digest: Digest, now: datetime) -> datetime | None:
    """When the newest digest was due; None where that is longer ago than `LATEST`."""
    local = now.astimezone(digest.zone)
    at = datetime.combine(local.date(), digest.at, digest.zone)
    if at > local:
        at = datetime.combine(local.date() - timedelta(days=1), digest.at, digest.zone)
    due = at.astimezone(UTC)
    return due if now - due < LATEST else None


def reported_day(due: datetime) -> date:
    """The day that a digest reports: the last whole day, in UTC, at the time when it is due."""
    return due.astimezone(UTC).date() - timedelta(days=1)


def champion_in_use(tracking_uri: str, origin: str) -> ModelInUse | str:
    """The model in use by MLflow, or a sentence why it is not known."""
    # Not at the top: it brings the compiler, which takes 130 MiB until the first digest.
    from core.registry.follower import champions_calibration
    from core.registry.rest import RegistryUnavailableError
    from core.registry.version_files import ModelRefusedError

    try:
        champion = champions_calibration(tracking_uri, origin)
    except (RegistryUnavailableError, ModelRefusedError) as error:
        return str(error)
    return ModelInUse(*champion) if champion else "no model is in use yet"


class Digests:
    """Sends what is due and has not been sent; the outbox knows what has.

    `model_in_use` gives the model that drift is measured from, or why there is none.
    """

    def __init__(
        self,
        outbox: AlertOutbox,
        store: CaseworkStore,
        lake: str,
        dashboard: str,
        metrics: AlertMetrics,
        connect: Connect,
        clock: Clock,
        model_in_use: Callable[[], ModelInUse | str],
    ) -> None:
        self._outbox, self._store, self._lake = outbox, store, lake
        self._model_in_use = model_in_use
        self._dashboard, self._metrics = dashboard, metrics
        self._connect, self._clock = connect, clock
        self._accepted: dict[str, set[int]] = {}
        self._unnoted: dict[str, Message] = {}

    def send_due(self, routes: Routes) -> None:
        """Send the digest that is due to each of its routes that has not had it.

        Raises what the lake and the tables raise. A receiver that does not accept it is asked again
        at the next call.
        """
        digest = routes.digest
        due = due_time(digest, self._clock()) if digest else None
        if digest is None or due is None:
            return
        day = reported_day(due)
        for name, message in list(self._unnoted.items()):
            self._note(name, message)
        missing = [
            route
            for route in routes.routes
            if route.name in digest.to and not self._outbox.is_delivered(route.name, _id(day))
        ]
        if missing:
            message = self.message(day)
            for route in missing:
                self._send(route, message)

    def message(self, day: date) -> Message:
        """The report of a day as a message; raises as `daily_report`."""
        report: DailyReport = daily_report(self._lake, self._store, day, self._model_in_use())
        title = f"Daily report of {day}: {report.flagged:,} flags"
        data = {"report": report.as_json()}
        message = Message(_id(day), "digest", title, as_text(report), None, data)
        return of_origin(message, self._outbox.origin)

    def _send(self, route: Route, message: Message) -> None:
        accepted = self._accepted.setdefault(f"{route.name} {message.id}", set())
        receivers: Sequence[Receiver] = self._connect(route)
        for number, receiver in enumerate(receivers):
            if number in accepted:
                continue
            try:
                receiver(message)
            except NotDeliveredError as error:
                self._metrics.deliveries.labels(route.name, "failed").inc()
                log.warning(
                    "event=digest_not_delivered route=%s receiver=%d reason=%s",
                    *(route.name, number + 1, error),
                )
            else:
                accepted.add(number)
                self._metrics.deliveries.labels(route.name, "delivered").inc()
        if len(accepted) == len(receivers):
            self._unnoted[route.name] = message
            self._note(route.name, message)

    def _note(self, route: str, message: Message) -> None:
        self._outbox.note_delivery(route, message, (), self._clock())
        del self._unnoted[route]
        self._accepted.pop(f"{route} {message.id}", None)


def _id(day: date) -> str:
    return f"digest-{day}"
