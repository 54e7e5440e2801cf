from dataclasses import replace

import pytest

from core.settings import TrainerSettings
from model.schedule import Action, Look, decide

SETTINGS = TrainerSettings(_env_file=None)
SETTLED = Look(
    now=10_000,
    rows=100_000,
    last_attempt=8_000,
    rows_then=90_000,
    calibrated_on=50_000,
    newest=5_000,
    flagged=5,
    drift={"fee": 0.05},
)
HOUR = 3_600


@pytest.mark.parametrize(
    ("look", "action", "word"),
    [
        (Look(100, 1_999, 0, 0), "wait", "1999 of 2000"),
        (Look(100, 2_000, 0, 0), "train", "no champion"),
        (Look(100, 2_099, 90, 2_000), "wait", "last attempt"),
        (Look(100, 2_100, 90, 2_000), "train", "no champion"),
        (Look(151, 2_000, 90, 2_000), "train", "no champion"),
        (SETTLED, "wait", "nothing"),
        (replace(SETTLED, now=8_000 + 6 * HOUR), "train", "interval"),
        (replace(SETTLED, drift={"fee": 0.3, "bulk": 0.1}), "train", "fee has drifted"),
        (replace(SETTLED, drift={"fee": 0.3}, now=9_000), "wait", ""),
        (replace(SETTLED, drift={"fee": 0.3}, newest=500, flagged=1), "wait", ""),
        (replace(SETTLED, flagged=60), "recalibrate", "flags 60"),
        (replace(SETTLED, flagged=60, now=8_100), "wait", "recent"),
        (replace(SETTLED, calibrated_on=2_000, rows_then=50_000), "train", "2000 rows only"),
        (replace(SETTLED, calibrated_on=2_000, rows_then=50_001), "wait", "nothing"),
    ],
)
def test_what_is_done_follows_from_what_is_seen(look: Look, action: Action, word: str) -> None:
    done, why = decide(look, SETTINGS)
    assert done == action
    assert word in why
