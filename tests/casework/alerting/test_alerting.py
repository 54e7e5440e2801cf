"""From members of cases to receivers, by the real tables and threads, whatever stops in between."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.support.alert_samples import (
    DASHBOARD,
    FakeClock,
    Inbox,
    add_members,
    member,
    route,
)

from casework.alerting.alert_outbox import AlertOutbox
from casework.alerting.alerting import Alerting
from casework.alerting.receivers import Receiver
from casework.alerting.route_sender import RouteSender
from casework.alerting.routes_file import Route
from core.casework import CaseworkStore
from core.settings import AlertSettings
from monitoring.alert_metrics import AlertMetrics

FILE = """\
routes:
  - name: team
    to: ["json://localhost:1/"]
    from: low
    cool_down: 1h
"""


class Rig:
    """One route, its tables, its receiver and a clock; `sender` is as a process that starts."""

    def __init__(self, folder: Path, taken: Route) -> None:
        self.store = CaseworkStore(str(folder / "casework"), "simulated")
        self.clock, self.route = FakeClock(), taken
        self.inbox = Inbox(self.clock)
        self.registry = CollectorRegistry()
        self.metrics = AlertMetrics(self.registry)
        self.outbox = AlertOutbox(self.store)
        self.outbox.open()
        self._sequence = 0

    def join(self, *cases: int, severity: str = "medium") -> None:
        rows = []
        for case in cases:
            self._sequence += 1
            rows.append(member(self._sequence, case, severity))
        add_members(self.store, *rows)
        while self.outbox.take([self.route], self.clock()) is not None:
            pass

    def sender(self) -> RouteSender:
        return RouteSender(
            self.route, self.outbox, DASHBOARD, self.metrics, self.inbox.connect, self.clock
        )

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"bitcoin_alerts_{name}", labels)


def send_all(sender: RouteSender) -> None:
    """Send what may be sent now."""
    while sender.send_next() == 0:
        pass


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path, route())


def test_a_receiver_that_is_down_for_a_day_gets_everything_once(rig: Rig) -> None:
    rig.inbox.down = True
    sender = rig.sender()
    for hour in range(24):
        rig.join(hour % 6, 100 + hour)
        sender.send_next()
        if hour % 5 == 4:
            sender = rig.sender()  # killed and started again
        rig.clock.move(hours=1)
    assert rig.inbox.messages == []
    assert rig.value("failing_since_timestamp_seconds", route="team")
    rig.inbox.down = False
    send_all(sender)
    assert sorted(case for cases in rig.inbox.cases() for case in cases) == [
        *range(6),
        *range(100, 124),
    ]
    told = [message for message in rig.inbox.messages if message.data["case"] == 3]
    assert told[0].data["joined"] == 4
    send_all(rig.sender())
    assert len(rig.inbox.messages) == 30
    assert rig.value("failing_since_timestamp_seconds", route="team") == 0
    assert rig.value("outcomes_total", severity="medium", outcome="together") == 6
    assert rig.value("outcomes_total", severity="medium", outcome="alone") == 24


def test_forty_flags_of_one_case_are_one_alert_and_what_comes_later_is_told_together(
    rig: Rig,
) -> None:
    sender = rig.sender()
    for _ in range(4):
        rig.join(*[1] * 10)
        send_all(sender)
        rig.clock.move(seconds=5)
    assert [message.data["joined"] for message in rig.inbox.messages] == [10]
    rig.clock.move(hours=1)
    send_all(sender)
    assert [message.data["joined"] for message in rig.inbox.messages] == [10, 30]
    assert rig.inbox.messages[1].data["size"] == 40


def test_pauses_grow_while_a_receiver_fails_and_begin_anew_after_it(rig: Rig) -> None:
    rig.join(1)
    rig.inbox.down = True
    sender = rig.sender()
    assert [sender.send_next() for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    rig.inbox.down = False
    assert sender.send_next() == 0
    rig.join(2)
    rig.inbox.down = True
    assert sender.send_next() == 1
    assert rig.value("deliveries_total", route="team", result="failed") == 12


def test_what_was_accepted_is_not_sent_again_when_it_cannot_be_noted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.join(1)
    sender = rig.sender()
    with monkeypatch.context() as full:
        full.setattr(rig.store, "append", _full_disk)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                sender.send_next()
    send_all(sender)
    assert rig.inbox.cases() == [[1]]
    send_all(rig.sender())
    assert rig.inbox.cases() == [[1]]


def _full_disk(*_: object) -> None:
    raise OSError("No space left on device")


def _denied(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_receiver_that_has_it_does_not_get_it_again_for_the_others(rig: Rig) -> None:
    second = Inbox(rig.clock)
    second.down = True
    both: list[Receiver] = [rig.inbox, second]
    sender = RouteSender(rig.route, rig.outbox, DASHBOARD, rig.metrics, lambda _: both, rig.clock)
    rig.join(1)
    sender.send_next()
    rig.join(1)
    sender.send_next()
    second.down = False
    send_all(sender)
    assert (
        [m.data["joined"] for m in rig.inbox.messages]
        == [1]
        == [m.data["joined"] for m in second.messages]
    )


def test_a_changed_route_holds_for_what_waits_already(rig: Rig) -> None:
    rig.join(1)
    sender = rig.sender()
    send_all(sender)
    rig.join(1)
    send_all(sender)
    assert len(rig.inbox.messages) == 1
    sender.use(route(cool_down="0s"))
    send_all(sender)
    assert len(rig.inbox.messages) == 2


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 20 s"
        time.sleep(0.01)


class Service:
    """The alerting of one process, over a file of routes, with two receivers by route name."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "alerts.yml"
        self.store = CaseworkStore(str(folder / "casework"), "simulated")
        self.clock = FakeClock()
        self.inboxes = {"team": Inbox(self.clock), "desk": Inbox(self.clock)}
        self.registry = CollectorRegistry()
        settings = AlertSettings(alerts_file=self.file, dashboard_url=DASHBOARD)
        self.alerting = Alerting(
            self.store,
            str(folder / "lake"),
            settings,
            AlertMetrics(self.registry),
            lambda: "no model is in use yet",
            lambda taken: [self.inboxes[taken.name]],
        )

    def __enter__(self) -> "Service":
        self.alerting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.alerting.stop(5)

    def file_is_valid(self) -> bool:
        return self.registry.get_sample_value("bitcoin_alerts_routes_file_valid") == 1


def test_members_reach_the_receiver_and_after_a_restart_the_later_ones_do(tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_text(FILE)
    with Service(tmp_path) as first:
        add_members(first.store, member(1, 1), member(2, 2))
        wait_for(lambda: len(first.inboxes["team"].messages) == 2)
        assert {loop.name for loop in first.alerting.loops} == {"alerts", "digest", "route team"}
    add_members(first.store, member(3, 3))
    with Service(tmp_path) as second:
        wait_for(lambda: len(second.inboxes["team"].messages) == 1)
        assert second.inboxes["team"].cases() == [[3]]
    assert all(loop.failures == 0 for loop in second.alerting.loops)


def test_a_dead_route_delays_no_other(tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_text(FILE + FILE.split("\n", 1)[1].replace("team", "desk"))
    service = Service(tmp_path)
    service.inboxes["team"].down = True
    with service:
        add_members(service.store, *(member(n, n) for n in range(1, 9)))
        wait_for(lambda: len(service.inboxes["desk"].messages) == 8)
    assert service.inboxes["team"].messages == [] and service.inboxes["team"].attempts >= 1


def test_a_bad_file_keeps_the_routes_says_its_line_and_a_good_one_holds_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(tmp_path)
    service.file.write_text(FILE)
    service.alerting.take()
    assert service.file_is_valid() and service.alerting.problem is None
    service.file.write_text(FILE + "    from: nowhere\n")
    service.alerting.take()
    assert not service.file_is_valid()
    assert "alerts.yml, line 6: from is there twice" in caplog.text
    service.file.unlink()
    service.alerting.take()
    assert "alerts.yml is gone" in caplog.text
    add_members(service.store, member(1, 1))
    service.alerting.take()
    wait_for(lambda: service.inboxes["team"].cases() == [[1]])
    service.file.write_text(FILE.replace("team", "desk"))
    service.alerting.take()
    assert service.file_is_valid()
    add_members(service.store, member(2, 2))
    service.alerting.take()
    wait_for(lambda: service.inboxes["desk"].cases() == [[2]])
    samples = {
        sample.labels.get("route")
        for family in service.registry.collect()
        for sample in family.samples
    }
    assert "desk" in samples and "team" not in samples
    service.alerting.stop(5)


def test_without_a_file_nobody_is_told_and_nothing_is_wrong(tmp_path: Path) -> None:
    service = Service(tmp_path)
    add_members(service.store, member(1, 1))
    service.alerting.take()
    assert service.file_is_valid() and service.alerting.problem is None


def test_a_secret_is_read_again_when_its_file_changes_or_comes(tmp_path: Path) -> None:
    service = Service(tmp_path)
    in_force = service.alerting._in_force
    webhook = "    webhook: {url: 'http://localhost:9/', secret: '${file:secret}'}"
    service.file.write_text(f"routes:\n  - name: team\n{webhook}\n")
    assert not in_force.refresh() and not service.file_is_valid()
    for secret in ("sixteen characters", "sixteen and some more"):
        (tmp_path / "secret").write_text(secret)
        assert in_force.refresh() and service.file_is_valid()
        (taken,) = in_force.routes.routes
        assert taken.webhook is not None
        assert taken.webhook.secret.get_secret_value() == secret
        assert not in_force.refresh()


def test_a_file_that_may_be_read_at_last_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who corrects the rights of a file does not change what is in it."""
    service = Service(tmp_path)
    service.file.write_text(FILE)
    with monkeypatch.context() as forbidden:
        forbidden.setattr(Path, "open", _denied)
        assert not service.alerting._in_force.refresh() and not service.file_is_valid()
    service.file.chmod(0o640)
    assert service.alerting._in_force.refresh() and service.file_is_valid()
