from zoneinfo import ZoneInfo

import numpy as np

from dashboard.activity.figures import MOST_LABELS, champion_marks

UTC = ZoneInfo("UTC")
HOUR = 3_600_000_000
DAY = np.arange(25) * HOUR


def test_every_version_but_the_first_of_the_range_is_marked_where_it_begins() -> None:
    marks = champion_marks([("7", 0), ("8", HOUR), ("rules", 2 * HOUR)], DAY, UTC, "dark")
    assert [shape["x0"] for shape in marks["shapes"]] == [
        "1970-01-01 01:00:00",
        "1970-01-01 02:00:00",
    ]
    assert [label["text"] for label in marks["annotations"]] == ["v8", "rules alone"]


def test_a_version_that_begins_at_the_end_of_the_range_is_named_where_nothing_cuts_it() -> None:
    marks = champion_marks([("7", 0), ("8", 12 * HOUR), ("9", 23 * HOUR)], DAY, UTC, "dark")
    named = [(label["text"], label["xanchor"]) for label in marks["annotations"]]
    assert named == [("v8", "left"), ("v9 →", "right")]


def test_a_version_that_scored_the_range_later_stretches_no_axis() -> None:
    marks = champion_marks([("7", 0), ("8", HOUR), ("9", 30 * HOUR)], DAY, UTC, "dark")
    assert [label["text"] for label in marks["annotations"]] == ["v8"]
    assert len(marks["shapes"]) == 1


def test_many_marks_have_no_words_that_would_cover_each_other() -> None:
    champions = [(str(number), number * HOUR) for number in range(MOST_LABELS + 2)]
    marks = champion_marks(champions, DAY, UTC, "light")
    assert len(marks["shapes"]) == MOST_LABELS + 1 and not marks["annotations"]
    assert champion_marks([], DAY, UTC, "dark") == {"shapes": [], "annotations": []}
