"""The API follows the champion through everything that can happen to MLflow."""

from pathlib import Path
from typing import Any

import pytest
import requests
from local.ports import free_port
from tests.support.api_application import fitted, traffic
from tests.support.api_process import ApiProcess, Caller, api_process, wait_for
from tests.support.model_registry import mlflow_process, register_pipeline

from core.registry.follower import promote

pytestmark = pytest.mark.stack


def damage(folder: Path) -> None:
    """Cut the newest model file short."""
    newest = max(folder.rglob("model.skops"), key=lambda file: file.stat().st_mtime)
    newest.write_bytes(newest.read_bytes()[:1_000])


class Life:
    """One service, and a caller that sends requests without a pause."""

    def __init__(self, api: ApiProcess, caller: Caller) -> None:
        self.api, self.caller = api, caller

    def ready(self) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{self.api.url}/ready", timeout=10).json()
        return answer

    def wait_for_version(self, version: str) -> None:
        wait_for(lambda: self.caller.versions[-1:] == [version], self.api.log)

    def score(self) -> float:
        score: float = self.api.predict().json()["anomaly_score"]
        return score

    def wait_for_problem(self, problem: str) -> None:
        wait_for(lambda: problem in str(self.ready()["problem"]), self.api.log)

    def check_version_stays(self, version: str) -> None:
        """Many more answers come, all of this version."""
        answered = self.caller.statuses[200]
        wait_for(lambda: self.caller.statuses[200] > answered + 100, self.api.log)
        assert self.caller.versions[-1] == version


def test_no_request_fails_whatever_happens_to_mlflow(tmp_path: Path) -> None:
    port = free_port()
    polling = {"MLFLOW_TRACKING_URI": f"http://localhost:{port}", "API_MODEL_POLL_SECONDS": "0.2"}
    with api_process(tmp_path, polling) as api:
        caller = Caller(api)
        life = Life(api, caller)
        wait_for(lambda: "does not answer" in life.ready()["detail"], api.log)
        assert api.predict().json()["model_version"] == "rules"
        with mlflow_process(tmp_path / "first", port) as uri:
            first = register_pipeline(uri, fitted(traffic(500)), tmp_path)
            second = register_pipeline(uri, fitted(traffic(500), seed=1), tmp_path)
            wait_for(lambda: "promoted none" in life.ready()["detail"], api.log)
            promote(uri, first)
            wait_for(lambda: life.ready()["status"] == "ready", api.log)
            assert api.predict().status_code == 200
            with caller:
                life.wait_for_version(first)
                promote(uri, second)
                life.wait_for_version(second)
                broken = register_pipeline(uri, fitted(traffic(500), seed=2), tmp_path)
                damage(tmp_path / "first")
                promote(uri, broken)
                life.wait_for_problem("cannot be")
                life.check_version_stays(second)
                promote(uri, first)
                life.wait_for_version(first)
        with caller:
            life.wait_for_problem("does not answer")
            life.check_version_stays(first)
            with mlflow_process(tmp_path / "second", port) as uri:
                life.wait_for_problem("promoted none")
                life.check_version_stays(first)
                before = life.score()
                again = register_pipeline(uri, fitted(traffic(500), seed=3), tmp_path)
                assert again == first  # the same number in another registry
                promote(uri, again)
                wait_for(lambda: life.score() != before, api.log)
        assert set(caller.statuses) == {200}
        assert caller.versions == [first, second, first]
