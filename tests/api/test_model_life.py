"""The API follows the champion through everything that can happen to MLflow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
import requests
from local.tracking import ENVIRONMENT, Tracking
from sklearn.pipeline import Pipeline
from tests.api.conftest import EXAMPLE, fitted, made, traffic
from tests.api.doors import Caller, Door, door, posted, until
from tests.conftest import answers, free_port, process, wait_until

from core.registry import promote
from core.settings import MlflowSettings
from model.registration import ensure_registered_model, register

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


def publish(uri: str, pipeline: Pipeline) -> str:
    """Register a version, without the alias."""
    ensure_registered_model(uri, "simulated")
    mlflow.set_tracking_uri(uri)
    with mlflow.start_run() as run:
        rows = traffic(500)
        calibration = made(pipeline, rows, "0").calibration
        return register(uri, run.info.run_id, pipeline, calibration, rows)


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
            first = publish(uri, fitted(traffic(500)))
            second = publish(uri, fitted(traffic(500), seed=1))
            until(lambda: "promoted none" in life.ready()["detail"], api.log)
            promote(uri, first)
            until(lambda: life.ready()["status"] == "ready", api.log)
            assert posted(api.url, EXAMPLE).status_code == 200
            with caller:
                life.until_serving(first)
                promote(uri, second)
                life.until_serving(second)
                broken = publish(uri, fitted(traffic(500), seed=2))
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
                publish(uri, fitted(traffic(500), seed=3))
                newest = publish(uri, fitted(traffic(500), seed=4))
                promote(uri, newest)
                life.until_serving(newest)
        assert set(caller.statuses) == {200}
        assert caller.versions == [first, second, first, newest]
