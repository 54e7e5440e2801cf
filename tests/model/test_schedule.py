from collections import Counter
from dataclasses import replace

import pytest

from core.detector.drift import LEAST_ROWS
from core.settings import TrainerSettings
from model.schedule import REPEATED, Action, Attempt, Cause, Observation, decide, pause

SETTINGS = TrainerSettings(_env_file=None)
HOUR, DAY = 3_600, 86_400
INTERVAL = SETTINGS.training_interval_seconds
REGULAR = Attempt(8_000, 90_000, "interval")
SETTLED = Observation(
    now=10_000,
    rows=100_000,
    attempts=[REGULAR],
    calibration_rows=50_000,
    budget=SETTINGS.alert_budget,
    newest=5_000,
    recent=5_000,
    flagged=5,
    drift={"fee": 0.05},
    drift_limit=0.25,
)
DRIFTED = replace(SETTLED, drift={"fee": 0.3, "bulk": 0.1})
FLAGGING = replace(SETTLED, flagged=60)
OTHER_BUDGET = replace(SETTLED, budget=SETTINGS.alert_budget / 2)


def first(now: float, rows: int, *attempts: Attempt) -> Observation:
    """Without a champion."""
    return Observation(now, rows, attempts)


def early(cause: Cause, *started: float) -> list[Attempt]:
    """Attempts for a cause after the regular one; the newest first."""
    return [*(Attempt(at, 90_000, cause) for at in reversed(started)), REGULAR]


@pytest.mark.parametrize(
    ("observed", "action", "word"),
    [
        (first(100, 1_999), "wait", "1999 of 2000"),
        (first(100, 2_000), "train", "no champion"),
        (first(100, 3_999, Attempt(90, 2_000, "no_champion")), "wait", "last attempt"),
        (first(100, 4_000, Attempt(90, 2_000, "no_champion")), "train", "no champion"),
        (first(209, 2_000, Attempt(90, 2_000, "no_champion")), "wait", "last attempt"),
        (first(211, 2_000, Attempt(90, 2_000, "no_champion")), "train", "no champion"),
        (SETTLED, "wait", "nothing"),
        (replace(SETTLED, now=8_000 + INTERVAL), "train", "interval"),
        (replace(SETTLED, attempts=[]), "train", "interval"),
        (DRIFTED, "train", "fee has drifted"),
        (replace(DRIFTED, drift_limit=0.31), "wait", "nothing"),
        (replace(DRIFTED, now=9_000), "wait", ""),
        (replace(DRIFTED, newest=500, recent=500, flagged=1), "wait", ""),
        (replace(DRIFTED, now=13_599, attempts=early("drift", 10_000)), "wait", ""),
        (replace(DRIFTED, now=13_600, attempts=early("drift", 10_000)), "train", "drifted"),
        (OTHER_BUDGET, "recalibrate", "the budget is 0.001 now, was 0.0005"),
        (replace(OTHER_BUDGET, now=8_299), "wait", "recent"),
        (replace(OTHER_BUDGET, now=8_599, attempts=early("flag_rate", 8_000)), "wait", "recent"),
        (FLAGGING, "recalibrate", "flags 60"),
        (replace(FLAGGING, now=8_100), "wait", "recent"),
        (replace(FLAGGING, now=8_599, attempts=early("flag_rate", 8_000)), "wait", "recent"),
        (replace(FLAGGING, now=8_600, attempts=early("flag_rate", 8_000)), "recalibrate", ""),
        (
            replace(SETTLED, calibration_rows=2_000, attempts=[Attempt(8_000, 50_000, "")]),
            "train",
            "2000 rows only",
        ),
        (
            replace(SETTLED, calibration_rows=2_000, attempts=[Attempt(8_000, 50_001, "")]),
            "wait",
            "nothing",
        ),
    ],
)
def test_the_decision_follows_from_the_observation(
    observed: Observation, action: Action, word: str
) -> None:
    decision = decide(observed, SETTINGS)
    assert decision.action == action
    assert word in decision.reason
    assert bool(decision.cause) == (action != "wait")


def test_the_pause_doubles_with_each_early_attempt_up_to_the_interval() -> None:
    pauses = [pause("drift", 300, early("drift", *range(count)), SETTINGS) for count in range(9)]
    assert pauses == [300, 600, 1_200, 2_400, 4_800, 9_600, 19_200, INTERVAL, INTERVAL]


@pytest.mark.parametrize("cause", ["interval", "growth", "request", ""])
def test_an_attempt_for_new_facts_begins_the_pauses_again(cause: str) -> None:
    attempts = [Attempt(9, 9, cause), *early("flag_rate", 1, 2, 3)]
    assert pause("flag_rate", 300, attempts, SETTINGS) == 300


def test_an_early_attempt_for_another_cause_neither_counts_nor_resets() -> None:
    attempts = [Attempt(9, 9, "drift"), *early("flag_rate", 1, 2, 3)]
    assert pause("flag_rate", 300, attempts, SETTINGS) == 2_400
    assert pause("drift", 300, attempts, SETTINGS) == 600


ENDLESS = [
    replace(DRIFTED, flagged=5),
    FLAGGING,
    replace(FLAGGING, drift={"fee": 9.0}),
    replace(FLAGGING, drift={"fee": 9.0}, budget=0.5),
    Observation(0, 100_000),
]


@pytest.mark.parametrize(
    "observed", ENDLESS, ids=["drift", "flag rate", "both", "all three", "no champion"]
)
def test_a_fault_that_no_training_cures_costs_at_most_fifteen_trainings_a_day(
    observed: Observation,
) -> None:
    attempts: list[Attempt] = []
    for now in range(0, 10 * DAY, 60):
        state = replace(observed, now=float(now), attempts=attempts)
        action, cause, _ = decide(state, SETTINGS)
        if action != "wait":
            attempts.insert(0, Attempt(now, observed.rows, cause))
    days = Counter(int(attempt.started // DAY) for attempt in attempts)
    assert max(days.values()) <= 15, days
    assert min(days.values()) >= 4, "the regular trainings still come"
    if observed.drift_limit == 0.25 and max(observed.drift.values()) > 0.25:
        assert "drift" in {attempt.cause for attempt in attempts}, (
            "recalibrations do not displace it"
        )
    assert REPEATED & {attempt.cause for attempt in attempts}


def test_a_champion_without_a_measured_drift_stays() -> None:
    assert decide(replace(SETTLED, drift={}), SETTINGS)[0] == "wait"


def test_the_feature_that_has_drifted_farthest_is_named() -> None:
    drifted = replace(DRIFTED, drift={"value_per_output": 0.26, "bulk": 0.31})
    assert "bulk has drifted: index 0.31" in decide(drifted, SETTINGS)[-1]


def test_drift_counts_from_the_least_number_of_rows_on() -> None:
    drifted = replace(DRIFTED, flagged=1)
    assert decide(replace(drifted, newest=LEAST_ROWS), SETTINGS).action == "train"
    assert decide(replace(drifted, newest=LEAST_ROWS - 1), SETTINGS).action == "wait"
