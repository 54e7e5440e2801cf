"""The daily report by its routes: once a day, at its hour, across restarts and failures."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from tests.support.alert_samples import DASHBOARD, FakeClock, Inbox, route
from tests.support.api_application import calibrated, fitted, traffic
from tests.support.fake_mlflow import Registry, serving
from tests.support.report_lake import write_day

from casework.alerting.alert_outbox import AlertOutbox
from casework.alerting.digests import LATEST, Digests, champion_in_use, due_time, reported_day
from casework.alerting.receivers import Receiver
from casework.alerting.route_sender import Connect
from casework.alerting.routes_file import Digest, Route, Routes
from core.casework import CaseworkStore
from core.daily_drift import ModelInUse
from core.registry.version_files import CALIBRATION_FILE, EXTRA_FOLDER
from monitoring.alert_metrics import AlertMetrics


class Rig:
    def __init__(self, folder: Path) -> None:
        self.store = CaseworkStore(str(folder / "casework"), "simulated")
        self.lake = str(folder / "lake")
        self.outbox = AlertOutbox(self.store)
        self.outbox.open()
        self.model: ModelInUse | str = "no model is in use yet"
        self.clock = FakeClock()
        self.clock.now = datetime(2026, 11, 28, 7, tzinfo=UTC)
        self.inbox = Inbox(self.clock)
        self.routes = Routes(
            routes=(route(name="mail"), route(name="other")),
            digest=Digest.model_validate({"at": "07:30", "to": ["mail"]}),
        )

    def digests(self, connect: Connect | None = None) -> Digests:
        """As a process has it that starts."""
        metrics = AlertMetrics(CollectorRegistry())
        return Digests(
            *(self.outbox, self.store, self.lake, DASHBOARD, metrics),
            *(connect or self.inbox.connect, self.clock, lambda: self.model),
        )


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    write_day(str(tmp_path / "lake"))
    return Rig(tmp_path)


def test_it_is_sent_at_its_hour_once_also_across_restarts(rig: Rig) -> None:
    digests = rig.digests()
    rig.clock.move(hours=-11)  # more than half a day after the last one was due
    digests.send_due(rig.routes)
    assert rig.inbox.messages == []
    rig.clock.move(hours=11, minutes=30)
    for _ in range(3):
        digests.send_due(rig.routes)
        rig.digests().send_due(rig.routes)
    (message,) = rig.inbox.messages
    assert message.title == "Simulated: Daily report of 2026-11-27: 12 flags"
    assert "40 transactions" in message.text and "1. [high]" in message.text
    assert message.data["report"]["flagged"] == 12
    assert "Not known: no model is in use yet." in message.text
    rig.clock.move(days=1)
    digests.send_due(rig.routes)
    assert rig.inbox.messages[1].title == "Simulated: Daily report of 2026-11-28: 0 flags"


def test_a_receiver_that_is_down_gets_it_later_but_not_the_next_morning(rig: Rig) -> None:
    rig.inbox.down = True
    rig.clock.move(minutes=45)
    digests = rig.digests()
    for _ in range(5):
        digests.send_due(rig.routes)
        rig.clock.move(hours=2)
    rig.inbox.down = False
    digests.send_due(rig.routes)
    assert len(rig.inbox.messages) == 1
    assert rig.inbox.attempts == 6


def test_of_two_receivers_each_gets_it_once(rig: Rig) -> None:
    second = Inbox(rig.clock)
    second.down = True
    both: list[Receiver] = [rig.inbox, second]

    def connect(_: Route) -> list[Receiver]:
        return both

    rig.clock.move(minutes=45)
    digests = rig.digests(connect)
    digests.send_due(rig.routes)
    second.down = False
    digests.send_due(rig.routes)
    digests.send_due(rig.routes)
    assert (len(rig.inbox.messages), len(second.messages)) == (1, 1)


def test_without_a_digest_nothing_is_sent(rig: Rig) -> None:
    rig.clock.move(hours=1)
    rig.digests().send_due(Routes(routes=rig.routes.routes))
    assert rig.inbox.messages == []


def test_it_is_not_sent_twice_when_it_cannot_be_noted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    rig.clock.move(minutes=45)
    digests = rig.digests()
    with monkeypatch.context() as disk:
        disk.setattr(rig.store, "append", full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                digests.send_due(rig.routes)
    digests.send_due(rig.routes)
    assert len(rig.inbox.messages) == 1


MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)


@given(MOMENTS, st.sampled_from(["UTC", "Europe/Vienna", "Pacific/Auckland"]))
def test_what_is_due_lies_in_the_last_half_day_at_the_hour_of_its_zone(
    now: datetime, zone: str
) -> None:
    digest = Digest.model_validate({"at": "07:30", "zone": zone, "to": ["mail"]})
    due = due_time(digest, now)
    if due is None:
        return
    assert timedelta(0) <= now - due < LATEST
    assert f"{due.astimezone(digest.zone):%H:%M}" == "07:30"
    assert reported_day(due) < due.date() <= reported_day(due) + timedelta(days=1)


def test_the_reported_day_is_the_last_whole_one() -> None:
    assert reported_day(datetime(2026, 11, 28, 7, 30, tzinfo=UTC)) == date(2026, 11, 27)


def test_the_model_in_use_is_asked_of_mlflow_and_its_absence_is_said(tmp_path: Path) -> None:
    registry = Registry()
    with serving(registry) as uri:
        assert champion_in_use(uri, "simulated") == "no model is in use yet"
        assert "were made from simulated data" in str(champion_in_use(uri, "live"))
        registry.champion, registry.folder = "4", tmp_path
        rows = traffic(500)
        calibration = calibrated(fitted(rows), rows, "4").calibration
        (tmp_path / EXTRA_FOLDER).mkdir()
        (tmp_path / EXTRA_FOLDER / CALIBRATION_FILE).write_text(calibration.to_json())
        assert champion_in_use(uri, "simulated") == ModelInUse("4", calibration)
    assert champion_in_use(uri, "simulated") == f"MLflow at {uri} does not answer"
