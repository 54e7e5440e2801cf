from zoneinfo import ZoneInfo

from dashboard.activity.figures import MOST_LABELS, champion_marks

UTC = ZoneInfo("UTC")
HOUR = 3_600_000_000


def test_every_version_but_the_first_of_the_range_is_marked_where_it_begins() -> None:
    marks = champion_marks([("7", 0), ("8", HOUR), ("rules", 2 * HOUR)], UTC, "dark")
    assert [shape["x0"] for shape in marks["shapes"]] == [
        "1970-01-01 01:00:00",
        "1970-01-01 02:00:00",
    ]
    assert [label["text"] for label in marks["annotations"]] == ["v8", "rules alone"]


def test_many_marks_have_no_words_that_would_cover_each_other() -> None:
    champions = [(str(number), number * HOUR) for number in range(MOST_LABELS + 2)]
    marks = champion_marks(champions, UTC, "light")
    assert len(marks["shapes"]) == MOST_LABELS + 1 and not marks["annotations"]
    assert champion_marks([], UTC, "dark") == {"shapes": [], "annotations": []}
