"""What the trainer does when it is started with an option: one job, then it exits.

Each command takes the service and the option's value, and returns the exit code of the process.
"""

import logging
from collections.abc import Callable

from core.registry.follower import load_champion
from model.mlflow_runs import Registry
from model.pruning import prune_registry
from model.repeat_run import UnrepeatableRunError, repeat_run
from model.service import NO_TABLE, Service
from model.training import Outcome, Trainer
from model.training_job import trainer_of

log = logging.getLogger(__name__)

Command = Callable[[Service, str], int]


def once(service: Service, _value: str) -> int:
    """Train once, waiting for rows and MLflow; 0 when the challenger became champion."""
    return 0 if service.train_once().promoted else 1


def dry_run(service: Service, _value: str) -> int:
    """Train and evaluate without writing anything; 0 when the gate would let it pass."""
    table = service.open_table()
    if table is None:
        log.error("event=dry_run_impossible reason=%s", NO_TABLE)
        return 1
    return _log_outcome("dry_run_ended", _trainer(service).dry_run(table))


def recalibrate(service: Service, _value: str) -> int:
    """Set a new threshold for the champion's trees; 0 when the new version became champion."""
    table, version = service.open_table(), service.registry.champion_version()
    if table is None or version is None:
        reason = NO_TABLE if table is None else "there is no champion yet"
        log.error("event=recalibration_impossible reason=%s", reason)
        return 1
    return _log_outcome("recalibration_ended", _trainer(service).recalibrate(table, version))


def from_run(service: Service, run_id: str) -> int:
    """Repeat a run from its record; 0 when its scores are equal to the bit."""
    try:
        return 0 if repeat_run(_registry(service), run_id) else 1
    except UnrepeatableRunError as error:
        log.error("event=run_not_repeated reason=%s", error)
        return 1


def rollback(service: Service, version: str) -> int:
    """Give the alias to another version, if it loads and the registry is of this origin."""
    registry = _registry(service)
    registry.champion_version()
    registry.promote(load_champion(registry.tracking_uri, version))
    log.info("event=champion_rolled_back version=%s", version)
    return 0


def prune(service: Service, _value: str) -> int:
    """Remove the old versions, runs and samples from MLflow now."""
    while prune_registry(_registry(service), service.settings.model_versions_kept):
        pass
    return 0


def _trainer(service: Service) -> Trainer:
    return trainer_of(service.config, service.settings)


def _registry(service: Service) -> Registry:
    return Registry(service.config.tracking_uri, service.config.origin)


def _log_outcome(event: str, outcome: Outcome) -> int:
    log.info("event=%s %s", event, outcome.summary())
    return 1 if outcome.reasons else 0


COMMANDS: dict[str, Command] = {
    command.__name__: command for command in (once, dry_run, recalibrate, from_run, rollback, prune)
}
"""The command of each option."""
