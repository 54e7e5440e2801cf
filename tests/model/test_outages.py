"""MLflow stops at the worst moments: nothing is half-promoted, and the next run works."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pytest
from tests.model.lake_rows import write
from tests.model.tracking_server import Server

import model.training
from core.registry.follower import ChampionFollower, champion_version, download
from core.registry.rest import RegistryUnavailableError
from data_ingestion.simulation import traffic
from model.training import Trainer

pytestmark = pytest.mark.stack

P = ParamSpec("P")
R = TypeVar("R")

STEPS = ["make", "register", "promote"]
"""During training, before the model is logged, and between logging and promotion."""


def test_whenever_mlflow_stops_the_old_champion_stays_and_the_next_run_works(
    lake: str,
    trainer: Trainer,
    server: Server,
    tracking_uri: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = write(lake, traffic.numbers(3_000, seed=1))
    first = trainer.train(table).version
    follower = ChampionFollower(tracking_uri, "simulated", 1)
    assert follower.refresh()
    for step in STEPS:
        with monkeypatch.context() as patched:
            patched.setattr(model.training, step, _stopping(server, getattr(model.training, step)))
            with pytest.raises(RegistryUnavailableError):
                trainer.train(table)
        assert not follower.refresh()
        assert follower.problem is not None and "does not answer" in follower.problem
        assert follower.current is not None and follower.current.version == first
        server.start()
        assert champion_version(tracking_uri) == first, step
    outcome = trainer.train(table)
    assert outcome.promoted
    assert follower.refresh()
    assert follower.current is not None and follower.current.version == outcome.version


def test_a_champion_that_cannot_be_fetched_leaves_the_old_one_in_service(
    lake: str, trainer: Trainer, server: Server, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write(lake, traffic.numbers(3_000, seed=1))
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


def _stopping(server: Server, step: Callable[P, R]) -> Callable[P, R]:
    def stop_and_go_on(*arguments: P.args, **named: P.kwargs) -> R:
        server.stop()
        return step(*arguments, **named)

    return stop_and_go_on
