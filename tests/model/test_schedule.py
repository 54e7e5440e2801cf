from dataclasses import replace

import pytest

from core.settings import TrainerSettings
from model.drift import LEAST_ROWS
from model.schedule import Action, Observation, decide

SETTINGS = TrainerSettings(_env_file=None)
SETTLED = Observation(
    now=10_000,
    rows=100_000,
    last_attempt=8_000,
    last_attempt_rows=90_000,
    calibration_rows=50_000,
    newest=5_000,
    flagged=5,
    drift={"fee": 0.05},
)
HOUR = 3_600


@pytest.mark.parametrize(
    ("observed", "action", "word"),
    [
        (Observation(100, 1_999, 0, 0), "wait", "1999 of 2000"),
        (Observation(100, 2_000, 0, 0), "train", "no champion"),
        (Observation(100, 2_099, 90, 2_000), "wait", "last attempt"),
        (Observation(100, 2_100, 90, 2_000), "train", "no champion"),
        (Observation(151, 2_000, 90, 2_000), "train", "no champion"),
        (SETTLED, "wait", "nothing"),
        (replace(SETTLED, now=8_000 + 6 * HOUR), "train", "interval"),
        (replace(SETTLED, drift={"fee": 0.3, "bulk": 0.1}), "train", "fee has drifted"),
        (replace(SETTLED, drift={"fee": 0.3}, now=9_000), "wait", ""),
        (replace(SETTLED, drift={"fee": 0.3}, newest=500, flagged=1), "wait", ""),
        (replace(SETTLED, flagged=60), "recalibrate", "flags 60"),
        (replace(SETTLED, flagged=60, now=8_100), "wait", "recent"),
        (
            replace(SETTLED, calibration_rows=2_000, last_attempt_rows=50_000),
            "train",
            "2000 rows only",
        ),
        (replace(SETTLED, calibration_rows=2_000, last_attempt_rows=50_001), "wait", "nothing"),
    ],
)
def test_the_decision_follows_from_the_observation(
    observed: Observation, action: Action, word: str
) -> None:
    decided, reason = decide(observed, SETTINGS)
    assert decided == action
    assert word in reason


def test_a_champion_without_a_measured_drift_stays() -> None:
    assert decide(replace(SETTLED, drift={}), SETTINGS)[0] == "wait"


def test_the_feature_that_has_drifted_farthest_is_named() -> None:
    drifted = replace(SETTLED, drift={"value_per_output": 0.26, "bulk": 0.31})
    assert "bulk has drifted: index 0.31" in decide(drifted, SETTINGS)[-1]


def test_drift_counts_from_the_least_number_of_rows_on() -> None:
    drifted = replace(SETTLED, drift={"fee": 0.3}, flagged=1)
    assert decide(replace(drifted, newest=LEAST_ROWS), SETTINGS)[0] == "train"
    assert decide(replace(drifted, newest=LEAST_ROWS - 1), SETTINGS)[0] == "wait"
