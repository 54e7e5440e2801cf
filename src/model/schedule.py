"""When to train and when to recalibrate: a pure decision from one observation.

A regular training follows every interval. Another is made early when something calls for it. While
early ones follow each other, the wait before the next for the same cause doubles, up to the
interval. So a fault that no training cures costs at most fifteen trainings a day, not hundreds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal, NamedTuple

from core.detector.drift import LEAST_ROWS
from core.settings import TrainerSettings
from model.flag_budget import keeps_budget

Action = Literal["train", "recalibrate", "wait"]
Cause = Literal["no_champion", "interval", "growth", "drift", "flag_rate", "request", ""]
"""What calls for a training: a tag of its run; empty for none."""

REPEATED: frozenset[Cause] = frozenset({"no_champion", "drift", "flag_rate"})
"""Causes that a training may leave as they are."""

GROWTH = 2
"""A champion from few rows is followed by another when the table has grown by this factor."""

RETRY_SECONDS = 60.0
"""Without a champion, the first repeated attempt comes after this time."""


@dataclass(frozen=True)
class Attempt:
    """A training or recalibration, whatever its result: Unix time, rows of the table, and cause."""

    started: float
    rows: int
    cause: str


@dataclass(frozen=True)
class Observation:
    """The table and the champion at one moment; times are Unix seconds.

    `attempts` are those before, the newest first. `calibration_rows` is how many rows the champion
    was calibrated on, and `budget` the share that it may flag, both 0 without a champion. It flags
    `flagged` of the `recent` rows, `wild` of them far out. The `newest` rows, of a day, have moved
    by `drift`, an index for each feature, too far from `drift_limit` on.
    """

    now: float
    rows: int
    attempts: Sequence[Attempt] = ()
    calibration_rows: int = 0
    budget: float = 0.0
    newest: int = 0
    recent: int = 0
    flagged: int = 0
    wild: int = 0
    drift: Mapping[str, float] = field(default_factory=dict)
    drift_limit: float = math.inf


class Decision(NamedTuple):
    """What to do now, what calls for it, and the reason in words."""

    action: Action
    cause: Cause
    reason: str


def decide(observed: Observation, settings: TrainerSettings) -> Decision:
    """Decide from an observation alone."""
    attempts = observed.attempts
    last = attempts[0] if attempts else Attempt(-math.inf, 0, "")
    age = observed.now - last.started
    if observed.calibration_rows == 0:
        if observed.rows < settings.min_training_rows:
            reason = f"{observed.rows} of {settings.min_training_rows} rows have arrived"
            return Decision("wait", "", reason)
        grown = observed.rows >= GROWTH * last.rows
        if age < pause("no_champion", RETRY_SECONDS, attempts, settings) and not grown:
            return Decision("wait", "", "the last attempt gave no champion")
        return Decision("train", "no_champion", "there is no champion yet")
    if age >= settings.training_interval_seconds:
        return Decision("train", "interval", "the interval has passed")
    few = observed.calibration_rows < settings.calibration_rows
    if few and observed.rows >= GROWTH * max(last.rows, 1):
        reason = f"the champion was calibrated on {observed.calibration_rows} rows only"
        return Decision("train", "growth", reason)
    early = max(settings.early_training_seconds, settings.drift_check_seconds)
    feature, index = max(observed.drift.items(), key=lambda item: item[1], default=("", 0.0))
    drifted = index >= observed.drift_limit and observed.newest >= LEAST_ROWS
    if drifted and age >= pause("drift", early, attempts, settings):
        return Decision("train", "drift", f"{feature} has drifted: index {index:.2f}")
    if age < pause("flag_rate", settings.drift_check_seconds, attempts, settings):
        return Decision("wait", "", "the last attempt is recent")
    if observed.budget != settings.alert_budget:
        reason = f"the budget is {settings.alert_budget:g} now, was {observed.budget:g}"
        return Decision("recalibrate", "flag_rate", reason)
    if observed.recent and not keeps_budget(
        observed.flagged, observed.wild, observed.recent, settings.alert_budget
    ):
        reason = (
            f"the champion flags {observed.flagged} of {observed.recent} rows, "
            f"{observed.wild} of them far out"
        )
        return Decision("recalibrate", "flag_rate", reason)
    return Decision("wait", "", "nothing calls for a new model")


def pause(
    cause: Cause, first_seconds: float, attempts: Sequence[Attempt], settings: TrainerSettings
) -> float:
    """The least time from the last attempt to an early one for a cause, in seconds.

    It doubles with each for that cause among the early attempts in a row. The count begins again
    after an attempt that new facts called for: the interval, a table that has grown, or a person.
    """
    early = takewhile(lambda attempt: attempt.cause in REPEATED, attempts)
    repeats = sum(attempt.cause == cause for attempt in early)
    longest = settings.training_interval_seconds
    return min(max(first_seconds, RETRY_SECONDS) * 2.0**repeats, longest)
