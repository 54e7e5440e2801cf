"""MLflow stops during a training: nothing is half-promoted, and the next run works."""

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

import pytest
from tests.support.raw_lake import append_rows
from tests.support.tracking_server import TrackingServer

from core.ordinary_traffic import traffic
from core.registry.follower import ChampionFollower, champion_version, download
from core.registry.rest import RegistryUnavailableError
from model.training import Trainer

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("no_report")]

STEPS = {
    "during training": "model.training.train_challenger",
    "before the model is logged": "model.mlflow_runs.Run.register",
    "between logging and promotion": "model.mlflow_runs.promote",
}


def test_whenever_mlflow_stops_the_old_champion_stays_and_the_next_run_works(
    lake: str,
    trainer: Trainer,
    server: TrackingServer,
    tracking_uri: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = append_rows(lake, traffic.beside_market(3_000, seed=1))
    first = trainer.train(table).version
    follower = ChampionFollower(tracking_uri, "simulated", 1)
    assert follower.refresh()
    for moment, step in STEPS.items():
        with monkeypatch.context() as patched:
            patched.setattr(step, _stopping(server, resolve_name(step)))
            with pytest.raises(RegistryUnavailableError):
                trainer.train(table)
        assert not follower.refresh()
        assert follower.problem is not None and "does not answer" in follower.problem
        assert follower.current is not None and follower.current.version == first
        server.start()
        assert champion_version(tracking_uri) == first, moment
    outcome = trainer.train(table)
    assert outcome.promoted
    assert follower.refresh()
    assert follower.current is not None and follower.current.version == outcome.version


def test_a_champion_that_cannot_be_fetched_leaves_the_old_one_in_service(
    lake: str,
    trainer: Trainer,
    server: TrackingServer,
    tracking_uri: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = append_rows(lake, traffic.beside_market(3_000, seed=1))
    first = trainer.train(table).version
    follower = ChampionFollower(tracking_uri, "simulated", 1)
    follower.refresh()
    second = trainer.train(table).version
    with monkeypatch.context() as patched:
        patched.setattr("core.registry.follower.download", _stopping(server, download))
        assert not follower.refresh()
    assert follower.current is not None and follower.current.version == first
    server.start()
    assert follower.refresh()
    assert follower.current.version == second


def _stopping(server: TrackingServer, step: Callable[..., Any]) -> Callable[..., Any]:
    def stop_first(*arguments: Any, **named: Any) -> Any:
        server.stop()
        return step(*arguments, **named)

    return stop_first
