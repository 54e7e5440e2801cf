from collections.abc import Iterator
from itertools import count
from uuid import uuid4

import pytest
from mlflow import MlflowClient
from tests.support.tracking_server import TrackingServer, tracking_server

from core.registry.follower import MODEL_NAME, registered_model
from core.settings import TrainerSettings
from model.followed_registry import EXPERIMENT
from model.mlflow_runs import Registry
from model.training import Trainer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    """A server apart from that of other tests: these tests empty its registry and stop it."""
    with tracking_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def tracking_uri(server: TrackingServer) -> Iterator[str]:
    """The address of the server, with an empty registry and without the runs of other tests."""
    yield server.uri
    client = MlflowClient(server.uri)
    if registered_model(server.uri) is not None:
        client.delete_registered_model(MODEL_NAME)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is not None:
        client.rename_experiment(experiment.experiment_id, f"{EXPERIMENT} {uuid4()}")


@pytest.fixture
def settings() -> TrainerSettings:
    """Few trees, which are enough for these tests."""
    return TrainerSettings(_env_file=None, forest_trees=50)


@pytest.fixture
def trainer(settings: TrainerSettings, tracking_uri: str) -> Trainer:
    """Its clock ticks, so that the runs have an order."""
    ticks = count(1_795_428_000)
    return Trainer(settings, Registry(tracking_uri, "simulated"), lambda: float(next(ticks)))


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings without their report, which decides nothing and takes half of their time."""
    monkeypatch.setattr("model.training.attach_report", lambda *_: True)
