"""A training in a process of its own, which then ends.

It imports MLflow and scikit-learn, and holds all of its rows: 200 MiB that the trainer would keep
between two trainings.
"""

import signal
from collections.abc import Mapping
from dataclasses import dataclass

from core.own_process import ProcessFailedError, ask
from core.settings import TrainerSettings
from model.followed_registry import Origin
from model.schedule import Cause

TRAINING_SECONDS = 3_600
"""The longest time for a training; on an idle machine it takes half a minute."""


@dataclass(frozen=True)
class TrainerConfig:
    """Where the rows and people's marks come from, and where the models go."""

    lake: str
    origin: Origin
    tracking_uri: str
    casework: str


@dataclass(frozen=True)
class Job:
    """What is to be trained, and why.

    The trees of version `trees_of` get a new threshold; None asks for new trees.
    """

    config: TrainerConfig
    settings: TrainerSettings
    cause: Cause
    trees_of: str | None = None


@dataclass(frozen=True)
class Ended:
    """How a training ended: the registered version, and the reasons against it if refused.

    `recall` is that of each injected kind, `reported` False when the report could not be attached
    to the run, and `summary` the figures as `key=value` on one line.
    """

    version: str | None
    reasons: tuple[str, ...]
    recall: Mapping[str, float]
    reported: bool
    summary: str

    @property
    def promoted(self) -> bool:
        """Whether the version became champion."""
        return self.version is not None and not self.reasons


class TrainingImpossibleError(RuntimeError):
    """MLflow, the lake or the disk did not do their part; the message says which, and why."""


class TrainingCrashedError(RuntimeError):
    """The process of a training ended without a result."""


def train_in_process(job: Job) -> Ended:
    """Do a job in another process.

    Raises `TrainingImpossibleError`, which may pass, and `TrainingCrashedError`.
    """
    try:
        ended: Ended = ask("model.training_job", job, TRAINING_SECONDS)
    except ProcessFailedError as error:
        if error.exit_code == -signal.SIGKILL:
            reason = "a training was killed: does the machine lack memory for it?"
            raise TrainingCrashedError(reason) from error
        raise TrainingCrashedError(f"the process of a training {error}: see above") from error
    return ended
