from collections.abc import Iterator

import pytest
from mlflow import MlflowClient
from tests.model.tracking_server import Server

from core.registry.follower import MODEL_NAME, registered_model
from core.settings import TrainerSettings
from model.training import Trainer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of these tests' own: they empty its registry and stop it."""
    running = Server(tmp_path_factory.mktemp("mlflow"))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def tracking_uri(server: Server) -> Iterator[str]:
    """The server with no registered model."""
    yield server.uri
    if registered_model(server.uri) is not None:
        MlflowClient(server.uri).delete_registered_model(MODEL_NAME)


@pytest.fixture
def settings() -> TrainerSettings:
    """Few trees: what is tested here is what is done with them."""
    return TrainerSettings(_env_file=None, forest_trees=50)


@pytest.fixture
def trainer(settings: TrainerSettings, tracking_uri: str) -> Trainer:
    return Trainer(settings, tracking_uri, "simulated", lambda: 1_795_428_000.0)
