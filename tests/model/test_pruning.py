"""What MLflow keeps, and what frees its disk."""

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from tests.support.raw_lake import append_rows
from tests.support.tracking_server import TrackingServer, tracking_server

from core.ordinary_traffic import traffic
from core.registry.follower import MODEL_NAME, champion_version, load_champion
from core.settings import TrainerSettings
from model import pruning
from model.followed_registry import EXPERIMENT
from model.mlflow_runs import Registry
from model.pruning import prune_or_log, prune_registry
from model.training import Trainer

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("no_report")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `lake` and `mlflow`, whose server is stopped: each test has a copy.

    It has five versions, of which 1 has an alias and the last is champion, and one failed run.
    """
    folder = tmp_path_factory.mktemp("made")
    (folder / "mlflow").mkdir()
    with pytest.MonkeyPatch.context() as patched, tracking_server(folder / "mlflow") as server:
        patched.setattr("model.training.attach_report", lambda *_: True)
        make_five_versions(Registry(server.uri, "simulated"), str(folder / "lake"))
    return folder


def make_five_versions(registry: Registry, lake: str) -> None:
    changes: dict[str, Any] = {"forest_trees": 10, "recall_margin": 1, "least_recall": 0}
    small = TrainerSettings(_env_file=None, **changes)
    times = iter(range(1_795_428_000, 1_795_429_000))
    trainer = Trainer(small, registry, lambda: float(next(times)))
    table = append_rows(lake, traffic.beside_market(2_000, seed=1))
    for number in range(1, 6):
        assert trainer.train(table).version == str(number)
        if number == 1:
            MlflowClient(registry.tracking_uri).set_registered_model_alias(MODEL_NAME, "old", "1")
        if number == 2:
            with pytest.MonkeyPatch.context() as patched, pytest.raises(ZeroDivisionError):
                patched.setattr("model.training.Trainer._register", lambda *_: 1 / 0)
                trainer.train(table)


@pytest.fixture
def server(made: Path, tmp_path: Path, lake: str) -> Iterator[TrackingServer]:
    """A server of the test's own on the five versions, whose rows are in `lake`."""
    shutil.copytree(made / "mlflow", tmp_path / "mlflow")
    shutil.copytree(made / "lake", lake)
    with tracking_server(tmp_path / "mlflow") as server:
        yield server


@pytest.fixture
def registry(server: TrackingServer) -> Registry:
    return Registry(server.uri, "simulated")


def folders(server: TrackingServer) -> set[str]:
    """The folders of runs and models that hold files, by their ids."""
    artifacts = server.folder / "artifacts"
    files = [path.relative_to(artifacts).parts for path in artifacts.rglob("*") if path.is_file()]
    return {parts[2] if parts[1] == "models" else parts[1] for parts in files}


def ids(registry: Registry, *versions: str) -> set[str]:
    """The run and the model of each version."""
    client = MlflowClient(registry.tracking_uri)
    found = [client.get_model_version(MODEL_NAME, version) for version in versions]
    runs = {str(version.run_id) for version in found}
    return runs | {str(version.source).removeprefix("models:/") for version in found}


def test_all_but_the_newest_and_those_of_an_alias_are_removed_with_their_files(
    registry: Registry, server: TrackingServer
) -> None:
    client, others = MlflowClient(registry.tracking_uri), ids(registry, "2", "3")
    kept = ids(registry, "1", "4", "5")
    assert others < folders(server)
    assert prune_registry(registry, 2) == 3, "two versions and the failed run"
    assert kept <= folders(server)
    assert not others & folders(server)
    versions = client.search_model_versions(f"name = '{MODEL_NAME}'")
    assert {str(version.version) for version in versions} == {"1", "4", "5"}
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 3
    assert champion_version(registry.tracking_uri) == "5"
    for version in ("1", "4", "5"):
        assert load_champion(registry.tracking_uri, version).version == version
    assert prune_registry(registry, 2) == 0
    assert len(registry.attempts()) == 6, "the schedule still knows of them"


def test_a_large_registry_is_pruned_in_steps_the_oldest_first(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "MOST_AT_ONCE", 1)
    assert [prune_registry(registry, 2) for _ in range(4)] == [1, 1, 1, 0]


def test_pruning_that_stopped_half_way_is_finished_by_the_next(
    registry: Registry,
    server: TrackingServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    others = ids(registry, "2", "3")
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):

        def fail(*_: object) -> None:
            raise OSError("no process")

        patched.setattr(MlflowClient, "delete_model_version", fail)
        prune_or_log(registry, 2)
        assert "event=registry_not_pruned reason=no process" in caplog.text
    while prune_registry(registry, 2):
        pass
    assert not others & folders(server)


def test_a_training_prunes_before_it_writes(
    lake: str, registry: Registry, settings: TrainerSettings
) -> None:
    few = settings.model_copy(update={"forest_trees": 10, "model_versions_kept": 2})
    table = append_rows(lake, traffic.beside_market(10, seed=2), offset=2_000)
    Trainer(few, registry, lambda: 1_795_430_000.0).train(table)
    client = MlflowClient(registry.tracking_uri)
    versions = client.search_model_versions(f"name = '{MODEL_NAME}'")
    assert {str(version.version) for version in versions} == {"1", "4", "5", "6"}


def test_gc_after_deleting_a_version_frees_nothing_and_after_pruning_the_rest(
    registry: Registry, server: TrackingServer
) -> None:
    client, before = MlflowClient(registry.tracking_uri), folders(server)
    client.delete_model_version(MODEL_NAME, "2")
    collect_garbage(server)
    assert folders(server) == before, "the advice that did not help"
    prune_registry(registry, 2)
    assert len(folders(server)) == len(before) - 5, "two runs, two models, and the failed run"
    deleted = rows_of_runs(server)
    collect_garbage(server)
    assert rows_of_runs(server) < deleted
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
    assert len(runs) == 3
    assert load_champion(registry.tracking_uri, "5").version == "5"


def collect_garbage(server: TrackingServer) -> None:
    """The command of docs/operations.md."""
    database = f"sqlite:///{server.folder / 'mlflow.db'}"
    subprocess.run(
        [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", database],
        env=os.environ | {"MLFLOW_TRACKING_URI": server.uri},
        check=True,
        capture_output=True,
    )


def rows_of_runs(server: TrackingServer) -> int:
    database = sqlite3.connect(Path(server.folder) / "mlflow.db")
    try:
        tables = ("runs", "params", "metrics", "latest_metrics", "tags", "logged_models")
        counts = [database.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables]
    finally:
        database.close()
    return int(sum(counts))
