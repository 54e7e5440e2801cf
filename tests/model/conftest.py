from collections.abc import Iterator

import pytest
from mlflow import MlflowClient
from tests.support.tracking_server import TrackingServer

from core.registry.follower import MODEL_NAME, registered_model
from core.settings import TrainerSettings
from model.mlflow_runs import Registry
from model.training import Trainer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    """A server apart from that of other tests: these tests empty its registry and stop it."""
    server = TrackingServer(tmp_path_factory.mktemp("mlflow"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def tracking_uri(server: TrackingServer) -> Iterator[str]:
    """The address of the server, with an empty registry."""
    yield server.uri
    if registered_model(server.uri) is not None:
        MlflowClient(server.uri).delete_registered_model(MODEL_NAME)


@pytest.fixture
def settings() -> TrainerSettings:
    """Few trees, which are enough for these tests."""
    return TrainerSettings(_env_file=None, forest_trees=50)


@pytest.fixture
def trainer(settings: TrainerSettings, tracking_uri: str) -> Trainer:
    return Trainer(settings, Registry(tracking_uri, "simulated"), lambda: 1_795_428_000.0)


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings without their report, which decides nothing and takes half of their time."""
    monkeypatch.setattr("model.training.attach_report", lambda *_: None)
