import gc

from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application

from core.detector.champion import Champion


def test_the_collector_is_as_before_when_the_application_has_ended(champion: Champion) -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    with TestClient(application(FixedFollower(champion))):
        assert gc.get_freeze_count() > 10_000
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
