"""The service's rhythm: what is logged and shown once, however many requests meet it."""

import dataclasses
import json
import logging

import pytest
from tests.api.calling import Call, ask_all
from tests.api.conftest import EXAMPLE, Following, application

from api.limits import UnderWay
from api.pulse import Pulse
from core.detector.champion import Champion
from core.settings import ApiSettings
from monitoring.api_metrics import ApiMetrics
from monitoring.prometheus_metrics import new_registry


@pytest.fixture
def following() -> Following:
    return Following(problem="the trainer has promoted none")


@pytest.fixture
def pulse(following: Following) -> Pulse:
    metrics = ApiMetrics(new_registry("api"))
    return Pulse(UnderWay(), following, metrics, ApiSettings(_env_file=None))


def test_the_time_without_a_model_is_logged_when_it_begins_and_when_it_ends(
    pulse: Pulse, following: Following, champion: Champion, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for following.current in (None, None, champion, champion):
        pulse.beat()
    assert caplog.messages == [
        "no model yet, predictions get 503 reason=the trainer has promoted none",
        "predictions are answered model_version=7",
    ]


def test_a_request_without_a_model_leaves_no_line(
    following: Following, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    call = Call(body=[json.dumps(EXAMPLE).encode()])
    answers = ask_all(application(following), [call] * 3)
    assert {answer.status for answer in answers} == {503}
    assert not caplog.messages


def test_a_champion_of_the_same_number_counts_as_another(
    pulse: Pulse, following: Following, champion: Champion
) -> None:
    for following.current in (champion, champion, dataclasses.replace(champion)):
        pulse.beat()
    assert b"bitcoin_api_model_loads_total 2.0" in pulse.scrape()
