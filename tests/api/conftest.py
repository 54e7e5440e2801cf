"""A small real champion, and a client of the application that scores with it."""

from collections.abc import Iterator

import pytest
from sklearn.pipeline import Pipeline
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application, calibrated, fitted, traffic

from core.detector.champion import Champion


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    return fitted(traffic(2_000))


@pytest.fixture(scope="session")
def champion(pipeline: Pipeline) -> Champion:
    return calibrated(pipeline, traffic(2_000), "7")


@pytest.fixture(scope="module")
def client(champion: Champion) -> Iterator[TestClient]:
    """One for the tests of a file: to make an application takes a quarter of a second."""
    with TestClient(application(FixedFollower(champion))) as serving:
        yield serving
