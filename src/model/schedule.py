"""When to train and when to recalibrate: a pure decision from one observation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from core.settings import TrainerSettings
from model.drift import LEAST_ROWS
from model.gate import keeps_budget

Action = Literal["train", "recalibrate", "wait"]

GROWTH = 2
"""A champion from few rows is followed by another when the table has grown by this factor."""

RETRY_SECONDS, RETRY_GROWTH = 60.0, 1.05
"""Without a champion, the next attempt comes after this time, or this growth of the table."""


@dataclass(frozen=True)
class Observation:
    """The table and the champion at one moment; times are Unix seconds.

    `last_attempt` is the time of the last training or recalibration, whatever its result, and
    `last_attempt_rows` the size of the table then; both are 0 before the first.
    `calibration_rows` is how many rows the champion was calibrated on, 0 without a champion. It
    flags `flagged` of the `newest` rows, and they have moved by `drift`, an index for each feature.
    """

    now: float
    rows: int
    last_attempt: float
    last_attempt_rows: int
    calibration_rows: int = 0
    newest: int = 0
    flagged: int = 0
    drift: Mapping[str, float] = field(default_factory=dict)


def decide(observed: Observation, settings: TrainerSettings) -> tuple[Action, str]:
    """What to do now, and the reason in words."""
    age = observed.now - observed.last_attempt
    if observed.calibration_rows == 0:
        if observed.rows < settings.min_training_rows:
            return "wait", f"{observed.rows} of {settings.min_training_rows} rows have arrived"
        if age < RETRY_SECONDS and observed.rows < RETRY_GROWTH * observed.last_attempt_rows:
            return "wait", "the last attempt gave no champion"
        return "train", "there is no champion yet"
    if age >= settings.training_interval_seconds:
        return "train", "the interval has passed"
    few = observed.calibration_rows < settings.calibration_rows
    if few and observed.rows >= GROWTH * max(observed.last_attempt_rows, 1):
        return "train", f"the champion was calibrated on {observed.calibration_rows} rows only"
    feature, index = max(observed.drift.items(), key=lambda item: item[1], default=("", 0.0))
    enough = observed.newest >= LEAST_ROWS and age >= settings.early_training_seconds
    if index >= settings.drift_limit and enough:
        return "train", f"{feature} has drifted: index {index:.2f}"
    if age < settings.drift_check_seconds:
        return "wait", "the last attempt is recent"
    budget = settings.alert_budget
    if observed.newest and not keeps_budget(observed.flagged, observed.newest, budget):
        return "recalibrate", f"the champion flags {observed.flagged} of {observed.newest} rows"
    return "wait", "nothing calls for a new model"
