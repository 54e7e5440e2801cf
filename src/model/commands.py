"""What the trainer does when it is asked for one thing: each returns the process's exit code."""

import logging
from collections.abc import Callable

from core.registry.follower import champion_version, load_champion, promote
from model.repeat_run import repeat
from model.service import Service, Source
from model.training import Outcome

log = logging.getLogger(__name__)

Command = Callable[[Service, Source, str], int]


def once(service: Service, _source: Source, _value: str) -> int:
    """Train one time, waiting for rows and MLflow; 0 when the challenger became champion."""
    return 0 if service.once().promoted else 1


def dry_run(service: Service, _source: Source, _value: str) -> int:
    """Train and judge, write nothing; 0 when the gate would have let it pass."""
    table = service.table()
    if table is None:
        log.error("there is no table raw_transactions yet")
        return 1
    return _told(service.trainer.rehearse(table))


def recalibrate(service: Service, source: Source, _value: str) -> int:
    """Set the champion's threshold anew; 0 when the new version became champion."""
    table, version = service.table(), champion_version(source.tracking_uri, source.origin)
    if table is None or version is None:
        log.error("there is no table, or no champion to recalibrate")
        return 1
    return _told(service.trainer.recalibrate(table, version))


def from_run(_service: Service, source: Source, run_id: str) -> int:
    """Repeat a run from its record; 0 when its scores are equal to the bit."""
    return 0 if repeat(source.tracking_uri, run_id) else 1


def rollback(_service: Service, source: Source, version: str) -> int:
    """Give the alias to another version, if it loads."""
    champion_version(source.tracking_uri, source.origin)
    load_champion(source.tracking_uri, version)
    promote(source.tracking_uri, version)
    log.info("champion is version=%s", version)
    return 0


def _told(outcome: Outcome) -> int:
    log.info("ended %s", outcome.summary())
    return 1 if outcome.reasons else 0


COMMANDS: dict[str, Command] = {
    command.__name__: command for command in (once, dry_run, recalibrate, from_run, rollback)
}
"""Every option's command."""
