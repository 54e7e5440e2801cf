"""What is logged and recorded once, however many requests it concerns."""

import dataclasses
import json
import logging

import pytest
from tests.support.api_application import FixedFollower, application
from tests.support.asgi_calls import Call, send_calls

from api.heartbeat import Heartbeat
from api.middleware import RequestsInFlight
from api.schemas import EXAMPLE
from core.detector.champion import Champion
from core.settings import ApiSettings
from monitoring.api_metrics import ApiMetrics
from monitoring.prometheus_metrics import new_registry


@pytest.fixture
def follower() -> FixedFollower:
    return FixedFollower(problem="the trainer has promoted none")


@pytest.fixture
def heartbeat(follower: FixedFollower) -> Heartbeat:
    metrics = ApiMetrics(new_registry("api"))
    return Heartbeat(RequestsInFlight(), follower, metrics, ApiSettings(_env_file=None))


def test_the_time_without_a_model_is_logged_when_it_begins_and_when_it_ends(
    heartbeat: Heartbeat,
    follower: FixedFollower,
    champion: Champion,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    for follower.current in (None, None, champion, champion):
        heartbeat.beat()
    assert caplog.messages == [
        "event=rules_alone reason=the trainer has promoted none",
        "event=champion_in_service model_version=7",
    ]


def test_a_request_without_a_model_leaves_no_line(
    follower: FixedFollower, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    call = Call(body=[json.dumps(EXAMPLE).encode()])
    answers = send_calls(application(follower), [call] * 3)
    assert {answer.status for answer in answers} == {200}
    assert not caplog.messages


def test_a_champion_of_the_same_number_counts_as_another(
    heartbeat: Heartbeat, follower: FixedFollower, champion: Champion
) -> None:
    for follower.current in (champion, champion, dataclasses.replace(champion)):
        heartbeat.beat()
    assert b"bitcoin_api_model_loads_total 2.0" in heartbeat.scrape()


def test_a_beat_that_fails_ends_neither_the_heartbeat_nor_a_scrape(
    heartbeat: Heartbeat, follower: FixedFollower, champion: Champion
) -> None:
    follower.current = dataclasses.replace(champion, version="none")
    assert b'bitcoin_api_loop_failures_total{loop="heartbeat"} 1.0' in heartbeat.scrape()
    follower.current = champion
    assert b"bitcoin_api_model_version 7.0" in heartbeat.scrape()
    assert heartbeat.loop.problem is None
