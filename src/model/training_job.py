"""What the process of a training does: one job, and how it ended.

python -m model.training_job, for `core.own_process`
"""

import logging
import time
from collections.abc import Callable

from deltalake.exceptions import DeltaError

from core.casework import CaseworkStore
from core.lake import open_table
from core.logs import configure
from core.own_process import answer
from core.registry.rest import RegistryUnavailableError
from core.registry.version_files import ModelRefusedError
from core.settings import TrainerSettings
from model.marked_transactions import MarkedFlags
from model.mlflow_runs import Registry
from model.training import Outcome, Trainer
from model.training_process import Ended, Job, TrainerConfig, TrainingImpossibleError

log = logging.getLogger(__name__)

Clock = Callable[[], float]
"""Gives Unix seconds."""


def trainer_of(
    config: TrainerConfig, settings: TrainerSettings, clock: Clock = time.time
) -> Trainer:
    """The trainer for a lake and the registry of its models."""
    marked = MarkedFlags(CaseworkStore(config.casework, config.origin))
    registry = Registry(config.tracking_uri, config.origin)
    return Trainer(settings, registry, clock, marked.marks)


def train(job: Job, clock: Clock = time.time) -> Ended:
    """Do a job in this process; raises `TrainingImpossibleError`."""
    try:
        return _ended(_outcome(job, clock))
    except (RegistryUnavailableError, DeltaError, OSError) as error:
        raise TrainingImpossibleError(str(error)) from error


def _outcome(job: Job, clock: Clock) -> Outcome:
    trainer = trainer_of(job.config, job.settings, clock)
    table = open_table(job.config.lake, "raw_transactions", job.config.origin)
    if table is None:
        raise FileNotFoundError("the table raw_transactions is gone")
    if job.trees_of is not None:
        try:
            return trainer.recalibrate(table, job.trees_of, job.cause)
        except ModelRefusedError as error:  # its files are gone; new trees need none
            log.warning("event=recalibration_impossible reason=%s", error)
    return trainer.train(table, job.cause)


def _ended(outcome: Outcome) -> Ended:
    kinds = outcome.challenger.evaluation.kinds
    recall = {name: kind.recall for name, kind in kinds.items()}
    return Ended(outcome.version, outcome.reasons, recall, outcome.reported, outcome.summary())


def main() -> None:
    """Answer how the job ended, or why it was impossible."""
    configure("trainer")
    answer(train, TrainingImpossibleError)


if __name__ == "__main__":
    main()
