"""The API follows the champion through everything that can happen to MLflow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import skops.io
from local.ports import free_port
from local.tracking import ENVIRONMENT, Tracking
from mlflow import MlflowClient
from sklearn.pipeline import Pipeline
from tests.api.conftest import EXAMPLE, fitted, made, traffic
from tests.api.doors import Caller, Door, door, posted, until
from tests.support.processes import answers, process, wait_until

from core.registry.follower import MODEL_NAME, promote
from core.registry.version_files import EXTRA_FOLDER, MODEL_FILE, write_extras
from core.settings import MlflowSettings
from model.mlflow_runs import Registry

pytestmark = pytest.mark.stack


@contextmanager
def tracking(folder: Path, port: int) -> Iterator[str]:
    """A real MLflow server over a folder of its own; its tracking URI."""
    folder.mkdir()
    server = Tracking(folder, port, MlflowSettings().mlflow_allowed_hosts)
    log, uri = folder / "server.log", f"http://localhost:{port}"
    with process(server.command(), log, ENVIRONMENT) as running:
        wait_until(lambda: answers(f"{uri}/health"), running, log)
        yield uri


def publish(uri: str, pipeline: Pipeline, folder: Path) -> str:
    """Register a version, without the alias and without what only MLflow reads of a model."""
    Registry(uri, "simulated").ensure_model()
    client, rows = MlflowClient(uri), traffic(500)
    run = client.create_run("0").info
    extras = folder / run.run_id / EXTRA_FOLDER
    extras.mkdir(parents=True)
    skops.io.dump(pipeline, extras.parent / MODEL_FILE)
    write_extras(extras, pipeline, made(pipeline, rows, "0").calibration, rows[:20])
    client.log_artifacts(run.run_id, str(extras.parent), "model")
    source = f"{run.artifact_uri}/model"
    return str(client.create_model_version(MODEL_NAME, source, run.run_id).version)


def damage(folder: Path) -> None:
    """Cut the newest model file short."""
    newest = max(folder.rglob("model.skops"), key=lambda file: file.stat().st_mtime)
    newest.write_bytes(newest.read_bytes()[:1_000])


class Life:
    """One service, a caller that never rests, and what MLflow says."""

    def __init__(self, api: Door, caller: Caller) -> None:
        self.api, self.caller = api, caller

    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{self.api.url}/ready", timeout=10).json()
        return found

    def until_serving(self, version: str) -> None:
        until(lambda: self.caller.versions[-1:] == [version], self.api.log)

    def score(self) -> float:
        found: float = posted(self.api.url, EXAMPLE).json()["anomaly_score"]
        return found

    def until_told(self, problem: str) -> None:
        until(lambda: problem in str(self.ready()["problem"]), self.api.log)

    def still_serving(self, version: str) -> None:
        """Many more answers come, all of this version."""
        answered = self.caller.statuses[200]
        until(lambda: self.caller.statuses[200] > answered + 100, self.api.log)
        assert self.caller.versions[-1] == version


def test_no_request_fails_whatever_happens_to_mlflow(tmp_path: Path) -> None:
    port = free_port()
    polling = {"MLFLOW_TRACKING_URI": f"http://localhost:{port}", "API_MODEL_POLL_SECONDS": "0.2"}
    with door(tmp_path, polling) as api:
        caller = Caller(api.url)
        life = Life(api, caller)
        until(lambda: "does not answer" in life.ready()["detail"], api.log)
        assert posted(api.url, EXAMPLE).status_code == 503
        with tracking(tmp_path / "first", port) as uri:
            first = publish(uri, fitted(traffic(500)), tmp_path)
            second = publish(uri, fitted(traffic(500), seed=1), tmp_path)
            until(lambda: "promoted none" in life.ready()["detail"], api.log)
            promote(uri, first)
            until(lambda: life.ready()["status"] == "ready", api.log)
            assert posted(api.url, EXAMPLE).status_code == 200
            with caller:
                life.until_serving(first)
                promote(uri, second)
                life.until_serving(second)
                broken = publish(uri, fitted(traffic(500), seed=2), tmp_path)
                damage(tmp_path / "first")
                promote(uri, broken)
                life.until_told("cannot be")
                life.still_serving(second)
                promote(uri, first)
                life.until_serving(first)
        with caller:
            life.until_told("does not answer")
            life.still_serving(first)
            with tracking(tmp_path / "second", port) as uri:
                life.until_told("promoted none")
                life.still_serving(first)
                before = life.score()
                again = publish(uri, fitted(traffic(500), seed=3), tmp_path)
                assert again == first  # of the same number, but another
                promote(uri, again)
                until(lambda: life.score() != before, api.log)
        assert set(caller.statuses) == {200}
        assert caller.versions == [first, second, first]
