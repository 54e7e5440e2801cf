"""When to train and when to recalibrate: the decision is pure, its looking is done elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.settings import TrainerSettings
from model.drift import LEAST_ROWS
from model.gate import keeps_budget

Action = Literal["train", "recalibrate", "wait"]

GROWTH = 2
"""A champion made from few rows is followed by another when the table has grown by this factor."""

RETRY_SECONDS, MORE = 60.0, 1.05
"""While there is no champion, from one attempt to the next: so much time, or so many more rows."""


@dataclass(frozen=True)
class Look:
    """What is seen of the table and of the champion; times are Unix seconds.

    `last_attempt` is when anything was last tried, promoted or not, and `rows_then` the rows of
    the table at that time; both are 0 before the first. `calibrated_on` is 0 without a champion.
    `newest` rows were looked at, and the champion flags `flagged` of them.
    """

    now: float
    rows: int
    last_attempt: float
    rows_then: int
    calibrated_on: int = 0
    newest: int = 0
    flagged: int = 0
    drift: Mapping[str, float] | None = None


def decide(look: Look, settings: TrainerSettings) -> tuple[Action, str]:
    """What to do now, and why in words."""
    age = look.now - look.last_attempt
    if look.calibrated_on == 0:
        return _first(look, age, settings)
    if age >= settings.training_interval_seconds:
        return "train", "the interval has passed"
    few = look.calibrated_on < settings.calibration_rows
    if few and look.rows >= GROWTH * max(look.rows_then, 1):
        return "train", f"the champion was made from {look.calibrated_on} rows only"
    moved = max((look.drift or {"": 0.0}).items(), key=lambda item: item[1])
    if (
        moved[1] >= settings.drift_limit
        and look.newest >= LEAST_ROWS
        and age >= settings.early_training_seconds
    ):
        return "train", f"{moved[0]} has drifted: index {moved[1]:.2f}"
    return _threshold(look, age, settings)


def _first(look: Look, age: float, settings: TrainerSettings) -> tuple[Action, str]:
    if look.rows < settings.min_training_rows:
        return "wait", f"{look.rows} of {settings.min_training_rows} rows are there"
    if age < RETRY_SECONDS and look.rows < MORE * look.rows_then:
        return "wait", "the last attempt gave no champion"
    return "train", "there is no champion yet"


def _threshold(look: Look, age: float, settings: TrainerSettings) -> tuple[Action, str]:
    if age < settings.drift_check_seconds:
        return "wait", "the last attempt is recent"
    if look.newest and not keeps_budget(look.flagged, look.newest, settings.alert_budget):
        return "recalibrate", f"flags {look.flagged} of the newest {look.newest}"
    return "wait", "nothing calls for another model"
